/* Memory of one run: a pointer that moves up, in blocks that double. 0: there is no more. */
static void *cz_alloc(cz_runtime_t *rt, i64 size) {
    if (size < 0 || size > rt->limit) return 0;
    size = (size + 15) & ~15LL;
    if (rt->end - rt->next < size) {
        i64 want = rt->used < 4096 ? 4096 : rt->used > 1048576 ? 1048576 : rt->used;
        if (want < size + 32) want = size + 32;
        if (rt->used + want > rt->limit) return 0;
        char *block = rt->malloc((unsigned long)want);
        if (!block) return 0;
        *(void **)block = rt->blocks;
        rt->blocks = block;
        rt->used += want;
        rt->next = block + 16;
        rt->end = block + want;
    }
    char *found = rt->next;
    rt->next += size;
    return found;
}

static inline u32 cz_at(const cz_str_t *s, i64 i) {
    return s->kind == 1 ? ((const u8 *)s->data)[i] : s->kind == 4 ? ((const u32 *)s->data)[i] : ((const u16 *)s->data)[i];
}
static inline void cz_put(cz_str_t *s, i64 i, u32 c) {
    if (s->kind == 1) ((u8 *)s->data)[i] = (u8)c;
    else ((u32 *)s->data)[i] = c;
}
static cz_str_t *cz_new_str(cz_runtime_t *rt, i64 length, i64 kind) {
    if (length > rt->limit / 8) return 0;
    cz_str_t *s = cz_alloc(rt, (i64)sizeof(cz_str_t) + length * kind);
    if (!s) return 0;
    s->length = length;
    s->kind = kind;
    s->data = s + 1;
    return s;
}
static void cz_copy_str(cz_str_t *to, i64 at, const cz_str_t *from, i64 start, i64 length) {
    if (to->kind == from->kind) {
        memcpy((char *)to->data + at * to->kind, (const char *)from->data + start * from->kind, (unsigned long)(length * to->kind));
        return;
    }
    for (i64 i = 0; i < length; i++) cz_put(to, at + i, cz_at(from, start + i));
}
static inline i64 cz_wide(const cz_str_t *s) { return s->kind == 1 ? 1 : 4; }
static cz_str_t *cz_sub_str(cz_runtime_t *rt, const cz_str_t *s, i64 start, i64 length) {
    cz_str_t *r = cz_new_str(rt, length, cz_wide(s));
    if (r) cz_copy_str(r, 0, s, start, length);
    return r;
}
static cz_str_t *cz_concat(cz_runtime_t *rt, i64 count, cz_str_t *const *parts, const cz_str_t *between) {
    i64 length = 0, kind = 1, at = 0;
    for (i64 i = 0; i < count; i++) {
        length += parts[i]->length;
        if (parts[i]->kind != 1) kind = 4;
    }
    if (between && count > 1) {
        length += between->length * (count - 1);
        if (between->kind != 1) kind = 4;
    }
    cz_str_t *r = cz_new_str(rt, length, kind);
    if (!r) return 0;
    for (i64 i = 0; i < count; i++) {
        if (i && between) {
            cz_copy_str(r, at, between, 0, between->length);
            at += between->length;
        }
        cz_copy_str(r, at, parts[i], 0, parts[i]->length);
        at += parts[i]->length;
    }
    return r;
}
static cz_str_t *cz_repeat(cz_runtime_t *rt, const cz_str_t *s, i64 count) {
    if (count < 0) count = 0;
    if (s->length && count > rt->limit / 8 / s->length) return 0;
    cz_str_t *r = cz_new_str(rt, s->length * count, cz_wide(s));
    if (r) for (i64 i = 0; i < count; i++) cz_copy_str(r, i * s->length, s, 0, s->length);
    return r;
}
static int cz_equal_at(const cz_str_t *s, i64 at, const cz_str_t *t) {
    if (s->kind == t->kind) return !memcmp((const char *)s->data + at * s->kind, t->data, (unsigned long)(t->length * t->kind));
    for (i64 i = 0; i < t->length; i++) if (cz_at(s, at + i) != cz_at(t, i)) return 0;
    return 1;
}
static int cz_str_eq(const cz_str_t *a, const cz_str_t *b) { return a->length == b->length && cz_equal_at(a, 0, b); }
static int cz_str_cmp(const cz_str_t *a, const cz_str_t *b) {
    i64 n = a->length < b->length ? a->length : b->length;
    for (i64 i = 0; i < n; i++) {
        u32 x = cz_at(a, i), y = cz_at(b, i);
        if (x != y) return x < y ? -1 : 1;
    }
    return a->length < b->length ? -1 : a->length > b->length;
}
static i64 cz_find(const cz_str_t *s, const cz_str_t *t, i64 from) {
    i64 last = s->length - t->length;
    for (i64 i = from; i <= last; i++) if (cz_equal_at(s, i, t)) return i;
    return -1;
}
static i64 cz_rfind(const cz_str_t *s, const cz_str_t *t) {
    for (i64 i = s->length - t->length; i >= 0; i--) if (cz_equal_at(s, i, t)) return i;
    return -1;
}
static i64 cz_count(const cz_str_t *s, const cz_str_t *t) {
    if (!t->length) return s->length + 1;
    i64 n = 0, at = 0;
    while ((at = cz_find(s, t, at)) >= 0) { n++; at += t->length; }
    return n;
}
static cz_str_t *cz_replace(cz_runtime_t *rt, const cz_str_t *s, const cz_str_t *a, const cz_str_t *b) {
    if (!a->length) return 0;
    i64 n = cz_count(s, a), at = 0, out = 0, hit;
    i64 kind = s->kind == 1 && b->kind == 1 ? 1 : 4;
    if (n && b->length > rt->limit / 8 / n) return 0;
    cz_str_t *r = cz_new_str(rt, s->length + n * (b->length - a->length), kind);
    if (!r) return 0;
    while ((hit = cz_find(s, a, at)) >= 0) {
        cz_copy_str(r, out, s, at, hit - at);
        out += hit - at;
        cz_copy_str(r, out, b, 0, b->length);
        out += b->length;
        at = hit + a->length;
    }
    cz_copy_str(r, out, s, at, s->length - at);
    return r;
}
/* Python's rule for a slice's ends, step 1. */
static void cz_clip(i64 length, i64 *start, i64 *stop) {
    if (*start < 0) { *start += length; if (*start < 0) *start = 0; }
    else if (*start > length) *start = length;
    if (*stop < 0) { *stop += length; if (*stop < 0) *stop = 0; }
    else if (*stop > length) *stop = length;
    if (*stop < *start) *stop = *start;
}
static cz_str_t *cz_slice_str(cz_runtime_t *rt, const cz_str_t *s, i64 start, i64 stop) {
    cz_clip(s->length, &start, &stop);
    return cz_sub_str(rt, s, start, stop - start);
}
static cz_str_t *cz_reverse_str(cz_runtime_t *rt, const cz_str_t *s) {
    cz_str_t *r = cz_new_str(rt, s->length, cz_wide(s));
    if (r) for (i64 i = 0; i < s->length; i++) cz_put(r, i, cz_at(s, s->length - 1 - i));
    return r;
}
static cz_str_t *cz_char(cz_runtime_t *rt, u32 c) {
    cz_str_t *r = cz_new_str(rt, 1, c < 256 ? 1 : 4);
    if (r) cz_put(r, 0, c);
    return r;
}

/* What depends on Unicode's tables is done for ASCII only; 1: leave it to Python. */
static int cz_not_ascii(const cz_str_t *s) {
    for (i64 i = 0; i < s->length; i++) if (cz_at(s, i) > 127) return 1;
    return 0;
}
static inline int cz_space(u32 c) { return c == 32 || (c >= 9 && c <= 13) || (c >= 28 && c <= 31); }
static inline int cz_upper(u32 c) { return c >= 'A' && c <= 'Z'; }
static inline int cz_lower(u32 c) { return c >= 'a' && c <= 'z'; }
static inline int cz_digit(u32 c) { return c >= '0' && c <= '9'; }
static inline u32 cz_to_upper(u32 c) { return cz_lower(c) ? c - 32 : c; }
static inline u32 cz_to_lower(u32 c) { return cz_upper(c) ? c + 32 : c; }

/* how: u(pper) l(ower) t(itle) c(apitalize) s(wapcase) */
static int cz_case(cz_runtime_t *rt, const cz_str_t *s, int how, cz_str_t **r) {
    if (cz_not_ascii(s) || !(*r = cz_new_str(rt, s->length, 1))) return 1;
    int inside = 0;
    for (i64 i = 0; i < s->length; i++) {
        u32 c = cz_at(s, i);
        int letter = cz_upper(c) || cz_lower(c);
        if (how == 'u' || (how == 't' && !inside) || (how == 'c' && i == 0)) c = cz_to_upper(c);
        else if (how == 's') c = cz_upper(c) ? cz_to_lower(c) : cz_to_upper(c);
        else c = cz_to_lower(c);
        cz_put(*r, i, c);
        inside = letter;
    }
    return 0;
}
/* how: d(igit) a(lpha) n (alnum) s(pace) u(pper) l(ower) */
static int cz_is(const cz_str_t *s, int how, i64 *r) {
    if (cz_not_ascii(s)) return 1;
    i64 all = s->length > 0, cased = 0, against = 0;
    for (i64 i = 0; i < s->length; i++) {
        u32 c = cz_at(s, i);
        int letter = cz_upper(c) || cz_lower(c), fits = 1;
        switch (how) {
        case 'd': fits = cz_digit(c); break;
        case 'a': fits = letter; break;
        case 'n': fits = letter || cz_digit(c); break;
        case 's': fits = cz_space(c); break;
        case 'u': cased |= letter; against |= cz_lower(c); break;
        default: cased |= letter; against |= cz_upper(c);
        }
        if (!fits) all = 0;
    }
    *r = how == 'u' || how == 'l' ? cased && !against : all;
    return 0;
}
static int cz_in_set(u32 c, const cz_str_t *set) {
    if (!set) return cz_space(c);
    for (i64 i = 0; i < set->length; i++) if (cz_at(set, i) == c) return 1;
    return 0;
}
/* sides: 1 left, 2 right. set 0: whitespace */
static int cz_strip(cz_runtime_t *rt, const cz_str_t *s, const cz_str_t *set, int sides, cz_str_t **r) {
    i64 a = 0, b = s->length;
    if (!set && cz_not_ascii(s)) return 1;
    if (sides & 1) while (a < b && cz_in_set(cz_at(s, a), set)) a++;
    if (sides & 2) while (b > a && cz_in_set(cz_at(s, b - 1), set)) b--;
    return !(*r = cz_sub_str(rt, s, a, b - a));
}

static cz_str_t *cz_from_ascii(cz_runtime_t *rt, const char *text, i64 length) {
    cz_str_t *r = cz_new_str(rt, length, 1);
    if (r) memcpy((void *)r->data, text, (unsigned long)length);
    return r;
}
static cz_str_t *cz_int_str(cz_runtime_t *rt, i64 x) {
    char text[24];
    int at = 24;
    u64 u = x < 0 ? 0 - (u64)x : (u64)x;
    do { text[--at] = (char)('0' + u % 10); u /= 10; } while (u);
    if (x < 0) text[--at] = '-';
    return cz_from_ascii(rt, text + at, 24 - at);
}
/* |x| as `count` significant digits; gives the exponent of the first. snprintf rounds correctly; what
 * the locale writes as decimal point is passed over. */
static int cz_digits(double x, int count, char *digits) {
    char text[64];
    int n = snprintf(text, sizeof text, "%.*e", count - 1, x), k = 0, i = 0, e = 0, sign = 1;
    while (i < n && text[i] != 'e') { if (cz_digit((u8)text[i])) digits[k++] = text[i]; i++; }
    digits[k] = 0;
    if (text[i + 1] == '-') sign = -1;
    for (i += 2; i < n; i++) e = e * 10 + (text[i] - '0');
    return sign * e;
}
/* The shortest digits that read back as x. Up to 15 digits survive the way through a double, so that
 * 15 without their final zeros are the shortest if they read back; else 16, else 17 are needed. Of a
 * power of two the nearest short text can lie outside of the narrower half of what rounds to it, and
 * subnormals have fewer digits: those are left to Python. */
static int cz_repr_digits(double x, char *digits, int *exponent) {
    u64 bits = cz_bits(x), fraction = bits & 0xfffffffffffffULL, power = (bits >> 52) & 0x7ff;
    int count, n;
    char text[64];
    if (x == 0.0) { digits[0] = '0'; digits[1] = 0; *exponent = 0; return 0; }
    if (power == 0 || power == 0x7ff) return 1;
    if (x < 0) x = -x;
    for (count = 15; count <= 17; count++) {
        *exponent = cz_digits(x, count, digits);
        snprintf(text, sizeof text, "%se%d", digits, *exponent - (count - 1));
        if (strtod(text, 0) == x) break;
    }
    if (count > 15 && fraction == 0) return 1;
    n = count > 17 ? 17 : count;
    while (n > 1 && digits[n - 1] == '0') digits[--n] = 0;
    return 0;
}
static int cz_float_text(double x, char *out, int *length) {
    char digits[24];
    int e, n = 0, k = 0, i;
    if (x != x || !cz_finite(x)) {
        const char *word = x != x ? "nan" : x < 0 ? "-inf" : "inf";
        while (word[k]) { out[k] = word[k]; k++; }
        *length = k;
        return 0;
    }
    if (cz_repr_digits(x, digits, &e)) return 1;
    while (digits[n]) n++;
    if (cz_bits(x) >> 63) out[k++] = '-';
    if (e >= -4 && e < 16) {
        if (e < 0) {
            out[k++] = '0'; out[k++] = '.';
            for (i = -1; i > e; i--) out[k++] = '0';
            for (i = 0; i < n; i++) out[k++] = digits[i];
        } else {
            for (i = 0; i <= e; i++) out[k++] = i < n ? digits[i] : '0';
            out[k++] = '.';
            if (n <= e + 1) out[k++] = '0';
            for (i = e + 1; i < n; i++) out[k++] = digits[i];
        }
        *length = k;
        return 0;
    }
    out[k++] = digits[0];
    if (n > 1) out[k++] = '.';
    for (i = 1; i < n; i++) out[k++] = digits[i];
    *length = k + snprintf(out + k, 8, "e%c%02d", e < 0 ? '-' : '+', e < 0 ? -e : e);
    return 0;
}
static int cz_float_str(cz_runtime_t *rt, double x, cz_str_t **r) {
    char text[64];
    int n;
    return cz_float_text(x, text, &n) || !(*r = cz_from_ascii(rt, text, n));
}
static const cz_str_t cz_text_none = {4, 1, "None"}, cz_text_true = {4, 1, "True"}, cz_text_false = {5, 1, "False"};
static int cz_value_str(cz_runtime_t *rt, cz_value_t v, cz_str_t **r) {
    switch (v.tag) {
    case CZ_NONE: *r = (cz_str_t *)&cz_text_none; return 0;
    case CZ_BOOL: *r = (cz_str_t *)(v.u.i ? &cz_text_true : &cz_text_false); return 0;
    case CZ_INT: return !(*r = cz_int_str(rt, v.u.i));
    case CZ_FLOAT: return cz_float_str(rt, v.u.d, r);
    case CZ_STR: *r = v.u.p; return 0;
    }
    return 1;
}
/* repr() of plain ASCII without quotes and backslashes; anything else is Python's. */
static int cz_repr_str(cz_runtime_t *rt, const cz_str_t *s, cz_str_t **r) {
    for (i64 i = 0; i < s->length; i++) {
        u32 c = cz_at(s, i);
        if (c < 32 || c > 126 || c == '\'' || c == '\\') return 1;
    }
    if (!(*r = cz_new_str(rt, s->length + 2, 1))) return 1;
    cz_put(*r, 0, '\'');
    cz_put(*r, s->length + 1, '\'');
    for (i64 i = 0; i < s->length; i++) cz_put(*r, i + 1, cz_at(s, i));
    return 0;
}
static int cz_trim(const cz_str_t *s, i64 *a, i64 *b) {
    if (cz_not_ascii(s)) return 1;
    *a = 0; *b = s->length;
    while (*a < *b && cz_space(cz_at(s, *a))) ++*a;
    while (*b > *a && cz_space(cz_at(s, *b - 1))) --*b;
    return *a == *b;
}
static int cz_parse_int(const cz_str_t *s, i64 *r) {
    i64 a, b, x = 0;
    if (cz_trim(s, &a, &b)) return 1;
    int negative = cz_at(s, a) == '-';
    if (negative || cz_at(s, a) == '+') a++;
    if (a == b || b - a > 18) return 1;
    for (; a < b; a++) {
        u32 c = cz_at(s, a);
        if (!cz_digit(c)) return 1;
        x = x * 10 + (c - '0');
    }
    *r = negative ? -x : x;
    return 0;
}
/* digits[.digits][e[sign]digits], read without its point so that the locale does not matter. */
static int cz_parse_float(const cz_str_t *s, double *r) {
    i64 a, b, e = 0, scale = 0;
    char text[96];
    int k = 0, digits = 0, point = 0;
    if (cz_trim(s, &a, &b) || b - a > 60) return 1;
    if (cz_at(s, a) == '-') { text[k++] = '-'; a++; }
    else if (cz_at(s, a) == '+') a++;
    for (; a < b; a++) {
        u32 c = cz_at(s, a);
        if (c == '.' && !point) { point = 1; continue; }
        if (!cz_digit(c)) break;
        text[k++] = (char)c;
        digits++;
        scale -= point;
    }
    if (!digits) return 1;
    if (a < b) {
        u32 c = cz_at(s, a++);
        int sign = 1;
        if (c != 'e' && c != 'E') return 1;
        if (a < b && (cz_at(s, a) == '-' || cz_at(s, a) == '+')) sign = cz_at(s, a++) == '-' ? -1 : 1;
        if (a == b || b - a > 4) return 1;
        for (; a < b; a++) {
            c = cz_at(s, a);
            if (!cz_digit(c)) return 1;
            e = e * 10 + (c - '0');
        }
        e *= sign;
    }
    snprintf(text + k, 24, "e%lld", e + scale);
    *r = strtod(text, 0);
    return 0;
}
/* One print(): 1 when there is no memory. */
static int cz_print(cz_runtime_t *rt, i64 count, cz_str_t *const *pieces, cz_str_t *separator, cz_str_t *end) {
    cz_print_t *p = cz_alloc(rt, (i64)sizeof(cz_print_t) + count * 8);
    if (!p) return 1;
    p->next = 0;
    p->count = count;
    p->pieces = (cz_str_t **)(p + 1);
    if (count) memcpy(p->pieces, pieces, (unsigned long)count * 8);
    p->separator = separator;
    p->end = end;
    if (rt->last_print) rt->last_print->next = p;
    else rt->prints = p;
    rt->last_print = p;
    return 0;
}
