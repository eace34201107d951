# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The one loop: ``y[m, f] = sum_k x[base[m] + tap[k]] * w[k, f]``, in float64 or in double-double.

With one channel for each filter (depthwise) x moves on with f: ``x[base[m] + tap[k] + f]``.

Pixels come in tiles that divide TILE_PIXELS and filters in LANES, padded by the caller, so there are
no edge cases. A sum runs over k in order, so neither the tile nor the instruction set changes
the order of additions. No OpenMP: it hangs forked children.

The compiler may fuse a product and a sum. A product of float32, float16 or bfloat16 values is exact
in float64, and then fusing changes no bit. In double-double only `fused` makes products, so that
``x * w == p + fused(x, w, -p)`` exactly with ``p = fused(x, w, 0)``, and no sum can be fused further.
"""

cdef extern from *:
    """
    #include <math.h>
    #define HALF 4
    typedef double half_tile __attribute__((vector_size(8 * HALF), aligned(8)));
    typedef double full_tile __attribute__((vector_size(16 * HALF), aligned(8)));
    #if defined(__x86_64__) && defined(__GNUC__)
      #define WIDE __attribute__((target("avx2,fma"))) void
      #define WIDEST __attribute__((target("avx512f,avx2,fma"))) void
      #define has_wide() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      #define has_widest() (has_wide() && __builtin_cpu_supports("avx512f"))
    #else
      #define WIDE void
      #define WIDEST void
      #define has_wide() 0
      #define has_widest() 0
    #endif
    #define INLINE inline __attribute__((always_inline))
    static const half_tile zeros = {0};
    static const full_tile full_zeros = {0};
    static INLINE half_tile fused(double a, half_tile b, half_tile c) {
        for (int i = 0; i < HALF; i++) c[i] = fma(a, b[i], c[i]);
        return c;
    }
    static INLINE full_tile full_fused(double a, full_tile b, full_tile c) {
        for (int i = 0; i < 2 * HALF; i++) c[i] = fma(a, b[i], c[i]);
        return c;
    }
    """
    enum: HALF
    ctypedef double half_tile  # to Cython a double: C's vector arithmetic has the same syntax
    ctypedef double full_tile
    ctypedef void wide "WIDE"
    ctypedef void widest "WIDEST"
    ctypedef void always_inline "INLINE void"
    bint has_wide()
    bint has_widest()
    const half_tile zeros
    const full_tile full_zeros
    half_tile fused(double a, half_tile b, half_tile c) noexcept nogil
    full_tile full_fused(double a, full_tile b, full_tile c) noexcept nogil

ctypedef const double* pointer

LANES = 2 * HALF
cdef enum: PIXELS = 6
cdef enum: PAIRED = 3
cdef enum: TWIN = 12
cdef enum: TWIN_PAIRED = 2
TILE_PIXELS = TWIN
PATHS = ("portable", "avx2+fma", "avx512f")
cdef int best = 2 if has_widest() else 1 if has_wide() else 0


cdef always_inline tile(const double* x, const Py_ssize_t* base, const Py_ssize_t* tap,
                        Py_ssize_t taps, const half_tile* w, half_tile* y,
                        Py_ssize_t row) noexcept nogil:
    cdef pointer[PIXELS] window
    cdef half_tile[PIXELS] left
    cdef half_tile[PIXELS] right
    cdef double value
    cdef Py_ssize_t k, p
    for p in range(PIXELS):
        window[p] = x + base[p]
        left[p] = right[p] = zeros
    for k in range(taps):
        for p in range(PIXELS):
            value = window[p][tap[k]]
            left[p] = left[p] + value * w[2 * k]
            right[p] = right[p] + value * w[2 * k + 1]
    for p in range(PIXELS):
        y[p * row] = left[p]
        y[p * row + 1] = right[p]


cdef always_inline tile_twin(const double* x, const Py_ssize_t* base, const Py_ssize_t* tap,
                             Py_ssize_t taps, const full_tile* w, full_tile* y,
                             Py_ssize_t row) noexcept nogil:
    """As `tile`, for two neighbouring tiles of filters and twice the pixels."""
    cdef pointer[TWIN] window
    cdef full_tile[TWIN] left
    cdef full_tile[TWIN] right
    cdef double value
    cdef Py_ssize_t k, p
    for p in range(TWIN):
        window[p] = x + base[p]
        left[p] = right[p] = full_zeros
    for k in range(taps):
        for p in range(TWIN):
            value = window[p][tap[k]]
            left[p] = left[p] + value * w[k]
            right[p] = right[p] + value * w[taps + k]
    for p in range(TWIN):
        y[p * row] = left[p]
        y[p * row + 1] = right[p]


cdef always_inline tile_depthwise(const double* x, const Py_ssize_t* base, const Py_ssize_t* tap,
                                  Py_ssize_t taps, const half_tile* w, half_tile* y,
                                  Py_ssize_t row) noexcept nogil:
    """As `tile`, where x moves on with the filter."""
    cdef pointer[PIXELS] window
    cdef half_tile[PIXELS] left
    cdef half_tile[PIXELS] right
    cdef Py_ssize_t k, p
    for p in range(PIXELS):
        window[p] = x + base[p]
        left[p] = right[p] = zeros
    for k in range(taps):
        for p in range(PIXELS):
            left[p] = left[p] + (<const half_tile*> (window[p] + tap[k]))[0] * w[2 * k]
            right[p] = right[p] + (<const half_tile*> (window[p] + tap[k]))[1] * w[2 * k + 1]
    for p in range(PIXELS):
        y[p * row] = left[p]
        y[p * row + 1] = right[p]


cdef always_inline tile_paired(const double* x, const Py_ssize_t* base, const Py_ssize_t* tap,
                               Py_ssize_t taps, const half_tile* w, half_tile* y, half_tile* z,
                               Py_ssize_t row) noexcept nogil:
    """As `tile`, with y + z the sum in double-double: products by fma, additions by Knuth's TwoSum."""
    cdef half_tile[PAIRED][2] high
    cdef half_tile[PAIRED][2] low
    cdef pointer[PAIRED] window
    cdef double value
    cdef half_tile product, before, total, shift
    cdef Py_ssize_t k, p, h
    for p in range(PAIRED):
        window[p] = x + base[p]
        for h in range(2):
            high[p][h] = low[p][h] = zeros
    for k in range(taps):
        for p in range(PAIRED):
            value = window[p][tap[k]]
            for h in range(2):
                product = fused(value, w[2 * k + h], zeros)
                before = high[p][h]
                total = before + product
                shift = total - before
                low[p][h] = low[p][h] + (((before - (total - shift)) + (product - shift))
                                         + fused(value, w[2 * k + h], -product))
                high[p][h] = total
    for p in range(PAIRED):
        for h in range(2):
            y[p * row + h] = high[p][h]
            z[p * row + h] = low[p][h]


cdef always_inline tile_twin_paired(const double* x, const Py_ssize_t* base, const Py_ssize_t* tap,
                                    Py_ssize_t taps, const full_tile* w, full_tile* y,
                                    full_tile* z, Py_ssize_t row) noexcept nogil:
    """As `tile_paired`, with all lanes in one vector."""
    cdef pointer[TWIN_PAIRED] window
    cdef full_tile[TWIN_PAIRED] high
    cdef full_tile[TWIN_PAIRED] low
    cdef double value
    cdef full_tile product, before, total, shift
    cdef Py_ssize_t k, p
    for p in range(TWIN_PAIRED):
        window[p] = x + base[p]
        high[p] = low[p] = full_zeros
    for k in range(taps):
        for p in range(TWIN_PAIRED):
            value = window[p][tap[k]]
            product = full_fused(value, w[k], full_zeros)
            before = high[p]
            total = before + product
            shift = total - before
            low[p] = low[p] + (((before - (total - shift)) + (product - shift))
                               + full_fused(value, w[k], -product))
            high[p] = total
    for p in range(TWIN_PAIRED):
        y[p * row] = high[p]
        z[p * row] = low[p]


cdef always_inline tiles(const double* x, const Py_ssize_t[::1] base, const Py_ssize_t[::1] tap,
                         const double[:, :, ::1] w, double[:, ::1] y, double* z,
                         bint depthwise, Py_ssize_t first) noexcept nogil:
    """All pixels for the tiles of filters from `first` on."""
    cdef Py_ssize_t m, f, row = y.shape[1] // HALF, taps = tap.shape[0]
    if depthwise:
        for m in range(base.shape[0] // PIXELS):
            for f in range(first, w.shape[0]):
                tile_depthwise(x + f * 2 * HALF, &base[m * PIXELS], &tap[0], taps,
                               <const half_tile*> &w[f, 0, 0],
                               <half_tile*> &y[m * PIXELS, 0] + 2 * f, row)
    elif z == NULL:
        for m in range(base.shape[0] // PIXELS):
            for f in range(first, w.shape[0]):
                tile(x, &base[m * PIXELS], &tap[0], taps, <const half_tile*> &w[f, 0, 0],
                     <half_tile*> &y[m * PIXELS, 0] + 2 * f, row)
    else:
        for m in range(base.shape[0] // PAIRED):
            for f in range(first, w.shape[0]):
                tile_paired(x, &base[m * PAIRED], &tap[0], taps, <const half_tile*> &w[f, 0, 0],
                            <half_tile*> &y[m * PAIRED, 0] + 2 * f,
                            <half_tile*> (z + m * PAIRED * y.shape[1]) + 2 * f, row)


cdef wide tiles_wide(const double* x, const Py_ssize_t[::1] base, const Py_ssize_t[::1] tap,
                     const double[:, :, ::1] w, double[:, ::1] y, double* z,
                     bint depthwise) noexcept nogil:
    tiles(x, base, tap, w, y, z, depthwise, 0)


cdef widest tiles_widest(const double* x, const Py_ssize_t[::1] base, const Py_ssize_t[::1] tap,
                         const double[:, :, ::1] w, double[:, ::1] y, double* z,
                         bint depthwise) noexcept nogil:
    cdef Py_ssize_t m, f, row = w.shape[0], twins = w.shape[0] // 2
    if depthwise:
        tiles(x, base, tap, w, y, z, depthwise, 0)
        return
    if z != NULL:
        for m in range(base.shape[0] // TWIN_PAIRED):
            for f in range(row):
                tile_twin_paired(x, &base[m * TWIN_PAIRED], &tap[0], tap.shape[0],
                                 <const full_tile*> &w[f, 0, 0],
                                 <full_tile*> &y[m * TWIN_PAIRED, 0] + f,
                                 <full_tile*> z + m * TWIN_PAIRED * row + f, row)
        return
    for m in range(base.shape[0] // TWIN):
        for f in range(twins):
            tile_twin(x, &base[m * TWIN], &tap[0], tap.shape[0],
                      <const full_tile*> &w[2 * f, 0, 0],
                      <full_tile*> &y[m * TWIN, 0] + 2 * f, row)
    tiles(x, base, tap, w, y, z, depthwise, 2 * twins)


cdef void tiles_portable(const double* x, const Py_ssize_t[::1] base, const Py_ssize_t[::1] tap,
                         const double[:, :, ::1] w, double[:, ::1] y, double* z,
                     bint depthwise) noexcept nogil:
    tiles(x, base, tap, w, y, z, depthwise, 0)


def correlate(const double[::1] x, const Py_ssize_t[::1] base, const Py_ssize_t[::1] tap,
              const double[:, :, ::1] w, double[:, ::1] y, double[:, ::1] low=None,
              bint depthwise=False, int path=-1):
    """Fill y (pixels, lanes) from x (flat), base (pixels), tap (taps), w (lanes / LANES, taps, LANES).

    With `low`, of the shape of y, the sums are ``y + low`` in double-double; not with `depthwise`,
    which reads ``x[base + tap + f]``. `path` is an index into PATHS, the best one by default; one that
    the processor does not have is replaced by the best that it has.
    """
    cdef double* z = NULL
    if base.shape[0] == 0 or tap.shape[0] == 0:
        y[:, :] = 0
        if low is not None:
            low[:, :] = 0
        return
    if low is not None:
        z = &low[0, 0]
    if path < 0 or path > best:
        path = best
    with nogil:
        if path == 2:
            tiles_widest(&x[0], base, tap, w, y, z, depthwise)
        elif path == 1:
            tiles_wide(&x[0], base, tap, w, y, z, depthwise)
        else:
            tiles_portable(&x[0], base, tap, w, y, z, depthwise)


def active_path() -> str:
    """Which build of the loop runs here: one of PATHS."""
    return PATHS[best]
