typedef signed long long i64;
typedef unsigned long long u64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
extern double fmod(double, double), floor(double), ceil(double), pow(double, double), rint(double), trunc(double);
extern double strtod(const char *, char **);
extern int snprintf(char *, unsigned long, const char *, ...);
extern void *memcpy(void *, const void *, unsigned long);
extern void *memmove(void *, const void *, unsigned long);
extern int memcmp(const void *, const void *, unsigned long);

#define CZ_MIN (-9223372036854775807LL - 1)
#define CZ_EXACT 9007199254740992LL /* 2^53: ints up to here are floats */

/* Whether a further call may need more of the C stack than it may use; stacks grow down. */
static inline int cz_deep(cz_runtime_t *rt) {
    char here;
    return rt->depth <= 0 || rt->stack - &here > rt->stack_bytes;
}
static inline int cz_finite(double x) { return x - x == 0.0; }
static inline u64 cz_bits(double x) { union { double d; u64 u; } b; b.d = x; return b.u; }
static inline double cz_copysign(double x, double sign) {
    union { double d; u64 u; } a, b;
    a.d = x; b.d = sign;
    a.u = (a.u & 0x7fffffffffffffffULL) | (b.u & 0x8000000000000000ULL);
    return a.d;
}

/* Each gives 1 where the result is no int64, or Python raises. */
static inline int cz_add(i64 a, i64 b, i64 *r) {
    i64 s = (i64)((u64)a + (u64)b);
    *r = s;
    return ((a ^ s) & (b ^ s)) < 0;
}
static inline int cz_sub(i64 a, i64 b, i64 *r) {
    i64 s = (i64)((u64)a - (u64)b);
    *r = s;
    return ((a ^ b) & (a ^ s)) < 0;
}
static inline int cz_mul(i64 a, i64 b, i64 *r) {
#ifdef __TINYC__
    u64 x = a < 0 ? 0 - (u64)a : (u64)a, y = b < 0 ? 0 - (u64)b : (u64)b, p = x * y;
    u64 most = ((a < 0) != (b < 0)) ? 0x8000000000000000ULL : 0x7fffffffffffffffULL;
    if (x != 0 && y > most / x) return 1;
    *r = (i64)(((a < 0) != (b < 0)) ? 0 - p : p);
    return 0;
#else
    return __builtin_mul_overflow(a, b, r);
#endif
}
static inline int cz_floordiv(i64 a, i64 b, i64 *r) {
    if (b == 0 || (b == -1 && a == CZ_MIN)) return 1;
    i64 q = a / b;
    *r = q - ((a % b != 0) & ((a < 0) != (b < 0)));
    return 0;
}
static inline int cz_mod(i64 a, i64 b, i64 *r) {
    if (b == 0) return 1;
    if (b == -1) { *r = 0; return 0; }
    i64 m = a % b;
    *r = m + (((m != 0) & ((m < 0) != (b < 0))) ? b : 0);
    return 0;
}
/* Above 2^53 the operands would be rounded before the division, which Python does not do. */
static inline int cz_truediv(i64 a, i64 b, double *r) {
    if (b == 0 || a > CZ_EXACT || a < -CZ_EXACT || b > CZ_EXACT || b < -CZ_EXACT) return 1;
    *r = (double)a / (double)b;
    return 0;
}
static int cz_ipow(i64 base, i64 exponent, i64 *r) {
    i64 result = 1;
    if (exponent < 0) return 1;
    for (;;) {
        if ((exponent & 1) && cz_mul(result, base, &result)) return 1;
        exponent >>= 1;
        if (!exponent) break;
        if (cz_mul(base, base, &base)) return 1;
    }
    *r = result;
    return 0;
}
static inline int cz_shl(i64 a, i64 b, i64 *r) {
    if (b < 0) return 1;
    if (a == 0) { *r = 0; return 0; }
    if (b > 62) return 1;
    i64 s = (i64)((u64)a << b);
    *r = s;
    return (s >> b) != a;
}
static inline int cz_shr(i64 a, i64 b, i64 *r) {
    if (b < 0) return 1;
    *r = b > 63 ? (a < 0 ? -1 : 0) : a >> b;
    return 0;
}
static inline int cz_fdiv(double a, double b, double *r) {
    if (b == 0.0) return 1;
    *r = a / b;
    return 0;
}
/* The two below follow the language reference's definition as CPython rounds it. */
static int cz_fmodulo(double a, double b, double *r) {
    if (b == 0.0) return 1;
    double m = fmod(a, b);
    if (m != 0.0) {
        if ((b < 0.0) != (m < 0.0)) m += b;
    } else m = cz_copysign(0.0, b);
    *r = m;
    return 0;
}
static int cz_ffloordiv(double a, double b, double *r) {
    if (b == 0.0) return 1;
    double m = fmod(a, b), q = (a - m) / b, f;
    if (m != 0.0 && (b < 0.0) != (m < 0.0)) q -= 1.0;
    if (q != 0.0) {
        f = floor(q);
        if (q - f > 0.5) f += 1.0;
    } else f = cz_copysign(0.0, a / b);
    *r = f;
    return 0;
}
static int cz_fpow(double a, double b, double *r) {
    if (!cz_finite(a) || !cz_finite(b)) return 1;
    if (a == 0.0 && b < 0.0) return 1;
    if (a < 0.0 && floor(b) != b) return 1;
    *r = pow(a, b);
    return !cz_finite(*r);
}
static inline int cz_to_int(double x, i64 *r) {
    if (!(x >= -9223372036854775808.0 && x < 9223372036854775808.0)) return 1;
    *r = (i64)x;
    return 0;
}
static int cz_round(double x, i64 *r) { return !cz_finite(x) || cz_to_int(rint(x), r); }
static int cz_round_to(double x, i64 digits, double *r) {
    char text[512];
    if (!cz_finite(x) || digits < 0 || digits > 22) return 1;
    int n = snprintf(text, sizeof text, "%.*f", (int)digits, x), e = 0, k = 0, i;
    char plain[512];
    /* Without its decimal point, whatever the locale writes there: 12.5 is 125e-1. */
    for (i = 0; i < n; i++) {
        if ((text[i] >= '0' && text[i] <= '9') || text[i] == '-') plain[k++] = text[i];
    }
    e = snprintf(plain + k, 16, "e-%d", (int)digits);
    (void)e;
    *r = strtod(plain, 0);
    return !cz_finite(*r);
}
/* Exact: -1, 0, 1, or 2 where b is a NaN. 3: leave it to Python. */
static inline int cz_cmp_if(i64 a, double b) {
    if (b != b) return 2;
    if (a > CZ_EXACT || a < -CZ_EXACT) return 3;
    double x = (double)a;
    return x < b ? -1 : x > b;
}

#define cz_none() ((cz_value_t){CZ_NONE, {0}})
static inline cz_value_t cz_i(i64 tag, i64 x) { cz_value_t v; v.tag = tag; v.u.i = x; return v; }
static inline cz_value_t cz_d(i64 tag, double x) { cz_value_t v; v.tag = tag; v.u.d = x; return v; }
static inline cz_value_t cz_p(i64 tag, void *x) { cz_value_t v; v.tag = tag; v.u.p = x; return v; }

/* Of values whose type is known at run time only. */
static int cz_arith(int op, cz_value_t a, cz_value_t b, cz_value_t *r) {
    if (a.tag < CZ_BOOL || a.tag > CZ_FLOAT || b.tag < CZ_BOOL || b.tag > CZ_FLOAT) return 1;
    if (a.tag != CZ_FLOAT && b.tag != CZ_FLOAT && op != '/') {
        r->tag = CZ_INT;
        switch (op) {
        case '+': return cz_add(a.u.i, b.u.i, &r->u.i);
        case '-': return cz_sub(a.u.i, b.u.i, &r->u.i);
        case '*': return cz_mul(a.u.i, b.u.i, &r->u.i);
        case 'f': return cz_floordiv(a.u.i, b.u.i, &r->u.i);
        case '%': return cz_mod(a.u.i, b.u.i, &r->u.i);
        default: return cz_ipow(a.u.i, b.u.i, &r->u.i);
        }
    }
    r->tag = CZ_FLOAT;
    if (a.tag != CZ_FLOAT && b.tag != CZ_FLOAT) return cz_truediv(a.u.i, b.u.i, &r->u.d);
    double x = a.tag == CZ_FLOAT ? a.u.d : (double)a.u.i, y = b.tag == CZ_FLOAT ? b.u.d : (double)b.u.i;
    switch (op) {
    case '+': r->u.d = x + y; return 0;
    case '-': r->u.d = x - y; return 0;
    case '*': r->u.d = x * y; return 0;
    case '/': return cz_fdiv(x, y, &r->u.d);
    case 'f': return cz_ffloordiv(x, y, &r->u.d);
    case '%': return cz_fmodulo(x, y, &r->u.d);
    default: return cz_fpow(x, y, &r->u.d);
    }
}
