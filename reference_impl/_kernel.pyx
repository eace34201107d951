# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The one loop: ``y[m, f] = sum_k x[base[m] + tap[k]] * w[k, f]`` in float64.

Pixels come in tiles of PIXELS and filters in tiles of LANES, padded by the caller, so that there
are no edge cases. A sum runs over k in order, so neither the tile nor the instruction set changes
the order of additions. No OpenMP: it hangs forked children.
"""

cdef extern from *:
    """
    #define PIXELS 6
    #define HALF 4
    typedef double half_tile __attribute__((vector_size(8 * HALF), aligned(8)));
    static const half_tile zeros = {0};
    #if defined(__x86_64__) && defined(__GNUC__)
      #define WIDE __attribute__((target("avx2,fma"))) void
      #define has_wide() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    #else
      #define WIDE void
      #define has_wide() 0
    #endif
    #define ALWAYS_INLINE inline __attribute__((always_inline)) void
    """
    enum: PIXELS
    enum: HALF
    ctypedef double half_tile  # to Cython a double: C's vector arithmetic has the same syntax
    const half_tile zeros
    ctypedef void wide "WIDE"
    ctypedef void always_inline "ALWAYS_INLINE"
    bint has_wide()

LANES = 2 * HALF
TILE_PIXELS = PIXELS
cdef bint use_wide = has_wide()


cdef always_inline tile(const double* x, const Py_ssize_t* base, const Py_ssize_t* tap,
                        Py_ssize_t taps, const double* w, double* y, Py_ssize_t step) noexcept nogil:
    cdef half_tile[PIXELS] low
    cdef half_tile[PIXELS] high
    cdef half_tile* row
    cdef const half_tile* weights
    cdef Py_ssize_t k, p
    cdef double value
    for p in range(PIXELS):
        low[p] = zeros
        high[p] = zeros
    for k in range(taps):
        weights = <const half_tile*> (w + k * 2 * HALF)
        for p in range(PIXELS):
            value = x[base[p] + tap[k]]
            low[p] = low[p] + value * weights[0]
            high[p] = high[p] + value * weights[1]
    for p in range(PIXELS):
        row = <half_tile*> (y + p * step)
        row[0] = low[p]
        row[1] = high[p]


cdef always_inline tiles(const double* x, const Py_ssize_t* base, Py_ssize_t pixels,
                         const Py_ssize_t* tap, Py_ssize_t taps, const double* w, Py_ssize_t lanes,
                         double* y) noexcept nogil:
    cdef Py_ssize_t m, f
    for f in range(lanes // (2 * HALF)):
        for m in range(pixels // PIXELS):
            tile(x, base + m * PIXELS, tap, taps, w + f * taps * 2 * HALF,
                 y + m * PIXELS * lanes + f * 2 * HALF, lanes)


cdef wide tiles_wide(const double* x, const Py_ssize_t* base, Py_ssize_t pixels,
                     const Py_ssize_t* tap, Py_ssize_t taps, const double* w, Py_ssize_t lanes,
                     double* y) noexcept nogil:
    tiles(x, base, pixels, tap, taps, w, lanes, y)


cdef void tiles_portable(const double* x, const Py_ssize_t* base, Py_ssize_t pixels,
                         const Py_ssize_t* tap, Py_ssize_t taps, const double* w, Py_ssize_t lanes,
                         double* y) noexcept nogil:
    tiles(x, base, pixels, tap, taps, w, lanes, y)


def correlate(const double[::1] x, const Py_ssize_t[::1] base, const Py_ssize_t[::1] tap,
              const double[:, :, ::1] w, double[:, ::1] y):
    """Fill y (pixels, lanes) from x (flat), base (pixels), tap (taps), w (lanes / LANES, taps, LANES)."""
    if base.shape[0] == 0 or tap.shape[0] == 0:
        y[:, :] = 0
        return
    with nogil:
        if use_wide:
            tiles_wide(&x[0], &base[0], base.shape[0], &tap[0], tap.shape[0], &w[0, 0, 0],
                       y.shape[1], &y[0, 0])
        else:
            tiles_portable(&x[0], &base[0], base.shape[0], &tap[0], tap.shape[0], &w[0, 0, 0],
                           y.shape[1], &y[0, 0])


def active_path() -> str:
    """Which build of the loop runs here: ``avx2+fma`` or ``portable``."""
    return "avx2+fma" if use_wide else "portable"
