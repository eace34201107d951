/* A correct Conv2D in C99, to try the suite on a program:
 *
 *     cc -O2 -o conv2d conv2d.c -lm
 *     conv2d-conformance run --impl "cmd:./conv2d"
 *
 * It reads case records from stdin and writes answer records to stdout; FORMAT.md of the suite
 * (the README.md of a folder of vectors) describes both. The machine must be little-endian.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32 /* where text mode would change the bytes */
#include <fcntl.h>
#include <io.h>
#define BINARY(stream) _setmode(_fileno(stream), _O_BINARY)
#else
#define BINARY(stream) ((void)0)
#endif

#define CASE INT64_C(0x3145534143443243)   /* "C2DCASE1" */
#define ANSWER INT64_C(0x3157534e41443243) /* "C2DANSW1" */

enum { RESULT = 0, UNSUPPORTED = 1, FAILED = 2 };
enum { FLOAT32 = 1, FLOAT64 = 2 };
enum { VALID = 0, SAME = 1 };

/* The header of a case record, field by field. */
typedef struct {
    int64_t magic, length, id, dtype, channels_first;
    int64_t n, h, w, c;               /* input */
    int64_t kh, kw, depth, filters;   /* kernel; depth is c / groups */
    int64_t stride_h, stride_w, dilation_h, dilation_w;
    int64_t padding, groups, has_bias;
    int64_t output_shape[4];          /* computed here all the same */
    int64_t unused[8];
} Case;

/* The header of an answer record. */
typedef struct {
    int64_t magic, length, id, status, dtype, shape[4], message_length;
} Answer;

static int64_t pad8(int64_t size) { return (size + 7) / 8 * 8; }

static double get(const void *values, int64_t at, int64_t dtype)
{
    return dtype == FLOAT32 ? (double)((const float *)values)[at] : ((const double *)values)[at];
}

static void put(void *values, int64_t at, int64_t dtype, double value)
{
    if (dtype == FLOAT32)
        ((float *)values)[at] = (float)value;
    else
        ((double *)values)[at] = value;
}

/* Position of element (i, j, c) of a sample with the given sizes. */
static int64_t at(int64_t i, int64_t j, int64_t c, int64_t height, int64_t width, int64_t channels,
                  int64_t channels_first)
{
    return channels_first ? (c * height + i) * width + j : (i * width + j) * channels + c;
}

/* Number of outputs along one axis, and the zeros before the input. */
static int64_t outputs(int64_t size, int64_t k, int64_t stride, int64_t dilation, int64_t padding,
                       int64_t *before)
{
    int64_t extent = (k - 1) * dilation + 1;
    int64_t count = padding == SAME ? (size + stride - 1) / stride : (size - extent) / stride + 1;
    int64_t total = padding == SAME ? (count - 1) * stride + extent - size : 0;
    *before = total > 0 ? total / 2 : 0; /* an odd total has its extra zero after the input */
    return count;
}

/* Sums are kept in double for both dtypes: a float result is then rounded once only. */
static void convolve(const Case *q, const void *x, const void *kernel, const void *bias, void *y,
                     int64_t height, int64_t width, int64_t top, int64_t left)
{
    for (int64_t n = 0; n < q->n; n++)
    for (int64_t i = 0; i < height; i++)
    for (int64_t j = 0; j < width; j++)
    for (int64_t f = 0; f < q->filters; f++) {
        double sum = q->has_bias ? get(bias, f, q->dtype) : 0.0;
        int64_t first = f / (q->filters / q->groups) * q->depth; /* channel of the group of f */
        for (int64_t a = 0; a < q->kh; a++)
        for (int64_t b = 0; b < q->kw; b++) {
            int64_t row = i * q->stride_h + a * q->dilation_h - top;
            int64_t column = j * q->stride_w + b * q->dilation_w - left;
            if (row < 0 || row >= q->h || column < 0 || column >= q->w)
                continue; /* in the padding */
            for (int64_t c = 0; c < q->depth; c++) {
                int64_t from = n * q->h * q->w * q->c
                    + at(row, column, first + c, q->h, q->w, q->c, q->channels_first);
                int64_t weight = ((a * q->kw + b) * q->depth + c) * q->filters + f;
                sum += get(x, from, q->dtype) * get(kernel, weight, q->dtype);
            }
        }
        int64_t to = n * height * width * q->filters
            + at(i, j, f, height, width, q->filters, q->channels_first);
        put(y, to, q->dtype, sum);
    }
}

/* Writes an answer and the bytes that follow it, padded with zeros. */
static void answer(Answer head, const void *bytes, int64_t size)
{
    static const char zeros[8] = {0};
    head.magic = ANSWER;
    head.length = (int64_t)sizeof head + pad8(size);
    if (fwrite(&head, sizeof head, 1, stdout) != 1
        || fwrite(bytes, 1, (size_t)size, stdout) != (size_t)size
        || fwrite(zeros, 1, (size_t)(pad8(size) - size), stdout) != (size_t)(pad8(size) - size)
        || fflush(stdout) != 0) {
        perror("conv2d: cannot write");
        exit(EXIT_FAILURE);
    }
}

static void refuse(const Case *q, int64_t status, const char *message)
{
    Answer head = {.id = q->id, .status = status, .message_length = (int64_t)strlen(message)};
    answer(head, message, head.message_length);
}

/* Answers one case; data are the bytes after its header. */
static void solve(const Case *q, const char *data)
{
    if (q->dtype != FLOAT32 && q->dtype != FLOAT64) {
        refuse(q, UNSUPPORTED, "this program has float32 and float64 only");
        return;
    }
    int64_t size = q->dtype == FLOAT32 ? 4 : 8;
    const char *kernel = data + pad8(q->n * q->h * q->w * q->c * size);
    const char *bias = kernel + pad8(q->kh * q->kw * q->depth * q->filters * size);
    int64_t top, left;
    int64_t height = outputs(q->h, q->kh, q->stride_h, q->dilation_h, q->padding, &top);
    int64_t width = outputs(q->w, q->kw, q->stride_w, q->dilation_w, q->padding, &left);
    int64_t bytes = q->n * height * width * q->filters * size;
    void *y = malloc((size_t)bytes + 1); /* never of 0 bytes: N may be 0 */
    if (y == NULL) {
        refuse(q, FAILED, "out of memory");
        return;
    }
    convolve(q, data, kernel, bias, y, height, width, top, left);
    Answer head = {.id = q->id, .status = RESULT, .dtype = q->dtype,
                   .shape = {q->n, height, width, q->filters}};
    if (q->channels_first) {
        head.shape[1] = q->filters;
        head.shape[2] = height;
        head.shape[3] = width;
    }
    answer(head, y, bytes);
    free(y);
}

int main(void)
{
    Case q;
    BINARY(stdin);
    BINARY(stdout);
    while (fread(&q, sizeof q, 1, stdin) == 1) {
        if (q.magic != CASE || q.length < (int64_t)sizeof q) {
            fprintf(stderr, "conv2d: this is no case record of version 1\n");
            return EXIT_FAILURE;
        }
        size_t rest = (size_t)q.length - sizeof q;
        char *data = malloc(rest + 1);
        if (data == NULL || fread(data, 1, rest, stdin) != rest) {
            fprintf(stderr, "conv2d: cannot read the %zu bytes of case %" PRId64 "\n", rest, q.id);
            return EXIT_FAILURE;
        }
        solve(&q, data);
        free(data);
    }
    return EXIT_SUCCESS;
}
