/* The element-wise parts of a training step, each in one pass over memory.
 *
 * PyTorch's matrix products are fast on a CPU with bfloat16 units, but norms, softmax and the like then
 * take most of the time, as many small passes. kernels.py compiles this file and calls it; numbers are
 * single precision inside, bfloat16 where matrix products read or write them.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float wide(bf16 v) {
    uint32_t u = (uint32_t)v << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline bf16 narrow(float f) { /* round to nearest even */
    uint32_t u;
    memcpy(&u, &f, 4);
    return (bf16)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* out = x / rms(x) * w; scale[n] keeps 1 / rms for the backward pass. */
void norm_forward(const float *x, const float *w, bf16 *out, float *scale, long rows, long dim, float eps) {
#pragma omp parallel for
    for (long n = 0; n < rows; n++) {
        const float *a = x + n * dim;
        float sum = 0;
        for (long i = 0; i < dim; i++) sum += a[i] * a[i];
        float s = scale[n] = 1 / sqrtf(sum / dim + eps);
        for (long i = 0; i < dim; i++) out[n * dim + i] = narrow(a[i] * s * w[i]);
    }
}

/* dw is [threads][dim], zero at the start; the caller adds the threads up. */
void norm_backward(const bf16 *g, const float *x, const float *w, const float *scale, float *dx, float *dw,
                   long rows, long dim, long threads) {
#pragma omp parallel for num_threads(threads)
    for (long t = 0; t < threads; t++) {
        float *mine = dw + t * dim;
        for (long n = rows * t / threads; n < rows * (t + 1) / threads; n++) {
            const float *a = x + n * dim;
            const bf16 *b = g + n * dim;
            float s = scale[n], dot = 0;
            for (long i = 0; i < dim; i++) {
                float v = wide(b[i]);
                dot += v * w[i] * a[i];
                mine[i] += v * a[i] * s;
            }
            dot *= s * s / dim;
            for (long i = 0; i < dim; i++) dx[n * dim + i] = s * (wide(b[i]) * w[i] - dot * a[i]);
        }
    }
}

void swiglu_forward(const bf16 *gate, const bf16 *up, bf16 *out, long count) {
#pragma omp parallel for simd
    for (long i = 0; i < count; i++) {
        float a = wide(gate[i]);
        out[i] = narrow(a / (1 + expf(-a)) * wide(up[i]));
    }
}

void swiglu_backward(const bf16 *g, const bf16 *gate, const bf16 *up, bf16 *dgate, bf16 *dup, long count) {
#pragma omp parallel for simd
    for (long i = 0; i < count; i++) {
        float a = wide(gate[i]), v = wide(g[i]), s = 1 / (1 + expf(-a));
        dgate[i] = narrow(v * wide(up[i]) * s * (1 + a * (1 - s)));
        dup[i] = narrow(v * a * s);
    }
}

/* Turns the pairs (2i, 2i+1) of [batch][time][heads][dim] by the angle of their position; sign -1 turns back. */
void rotate(const bf16 *x, bf16 *out, const float *turn, long batch, long time, long heads, long dim, float sign) {
#pragma omp parallel for
    for (long r = 0; r < batch * time; r++)
        for (long h = 0; h < heads; h++) {
            const float *c = turn + r % time * dim;
            const bf16 *a = x + (r * heads + h) * dim;
            bf16 *o = out + (r * heads + h) * dim;
            for (long i = 0; i < dim; i += 2) {
                float re = wide(a[i]), im = wide(a[i + 1]), co = c[i], si = sign * c[i + 1];
                o[i] = narrow(re * co - im * si);
                o[i + 1] = narrow(re * si + im * co);
            }
        }
}

/* Row i of every [time][time] block of scores becomes probabilities over the keys first[i] .. i.
 * `per` blocks belong to each row of the batch. */
void softmax_forward(bf16 *s, const int32_t *first, long blocks, long per, long time, float scale) {
#pragma omp parallel for
    for (long b = 0; b < blocks; b++)
        for (long i = 0; i < time; i++) {
            bf16 *row = s + (b * time + i) * time;
            float e[time], top = -1e30f, sum = 0;
            long from = first[b / per * time + i];
            for (long j = from; j <= i; j++) {
                e[j] = wide(row[j]) * scale;
                top = fmaxf(top, e[j]);
            }
            for (long j = from; j <= i; j++) {
                e[j] = expf(e[j] - top);
                sum += e[j];
            }
            sum = 1 / sum;
            memset(row, 0, from * sizeof *row);
            for (long j = from; j <= i; j++) row[j] = narrow(e[j] * sum);
            memset(row + i + 1, 0, (time - i - 1) * sizeof *row);
        }
}

/* g becomes the gradient of the scores. */
void softmax_backward(const bf16 *p, bf16 *g, const int32_t *first, long blocks, long per, long time, float scale) {
#pragma omp parallel for
    for (long b = 0; b < blocks; b++)
        for (long i = 0; i < time; i++) {
            const bf16 *a = p + (b * time + i) * time;
            bf16 *d = g + (b * time + i) * time;
            long from = first[b / per * time + i];
            float dot = 0;
            for (long j = from; j <= i; j++) dot += wide(a[j]) * wide(d[j]);
            memset(d, 0, from * sizeof *d);
            for (long j = from; j <= i; j++) d[j] = narrow(wide(a[j]) * (wide(d[j]) - dot) * scale);
            memset(d + i + 1, 0, (time - i - 1) * sizeof *d);
        }
}

/* Weighted cross entropy. loss[n] is the loss of a row; its logits become their own gradient. */
void cross_entropy(bf16 *logits, const int64_t *target, const float *weight, float *loss, long rows, long vocab) {
#pragma omp parallel for
    for (long n = 0; n < rows; n++) {
        bf16 *row = logits + n * vocab;
        float e[vocab], top = -1e30f, sum = 0;
        for (long j = 0; j < vocab; j++) top = fmaxf(top, wide(row[j]));
        float right = wide(row[target[n]]) - top;
        for (long j = 0; j < vocab; j++) {
            e[j] = expf(wide(row[j]) - top);
            sum += e[j];
        }
        loss[n] = weight[n] * (logf(sum) - right);
        float scale = weight[n] / sum;
        for (long j = 0; j < vocab; j++) row[j] = narrow(e[j] * scale);
        row[target[n]] = narrow(e[target[n]] * scale - weight[n]);
    }
}
