/* Put text (ASCII, sign included) into a field. align: < > ^ or = (after the sign) */
static cz_str_t *cz_field(cz_runtime_t *rt, const cz_str_t *s, i64 width, u32 fill, int align) {
    i64 room = width - s->length, left, k;
    if (room <= 0) return (cz_str_t *)s;
    cz_str_t *r = cz_new_str(rt, width, s->kind == 1 && fill < 256 ? 1 : 4);
    if (!r) return 0;
    left = align == '<' ? 0 : align == '^' ? room / 2 : room;
    if (align == '=' || align == 'z') {
        k = s->length && (cz_at(s, 0) == '-' || cz_at(s, 0) == '+' || (align == '=' && cz_at(s, 0) == ' '));
        if (k) cz_put(r, 0, cz_at(s, 0));
        for (i64 i = 0; i < room; i++) cz_put(r, k + i, fill);
        cz_copy_str(r, k + room, s, k, s->length - k);
        return r;
    }
    for (i64 i = 0; i < left; i++) cz_put(r, i, fill);
    cz_copy_str(r, left, s, 0, s->length);
    for (i64 i = left + s->length; i < width; i++) cz_put(r, i, fill);
    return r;
}
/* Sign, and a comma (or _) before each three of the digits that come first in text. */
static cz_str_t *cz_signed(cz_runtime_t *rt, const char *text, int n, int negative, int sign, int comma) {
    char out[1024];
    int k = 0, whole = 0;
    if (negative) out[k++] = '-';
    else if (sign) out[k++] = (char)sign;
    while (whole < n && cz_digit((u8)text[whole])) whole++;
    for (int i = 0; i < n && k < 1000; i++) {
        if (comma && i && i < whole && (whole - i) % 3 == 0) out[k++] = (char)comma;
        out[k++] = text[i];
    }
    return cz_from_ascii(rt, out, k);
}
/* type: d x X o b */
static cz_str_t *cz_format_int(cz_runtime_t *rt, i64 x, int type, int sign, int comma) {
    char text[72];
    u64 u = x < 0 ? 0 - (u64)x : (u64)x;
    unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    int at = 72;
    do {
        text[--at] = (type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
        u /= base;
    } while (u);
    return cz_signed(rt, text + at, 72 - at, x < 0, sign, comma);
}
/* type: f e %; correctly rounded by the C library, as Python does; the locale's point is replaced */
static int cz_format_float(cz_runtime_t *rt, double x, int type, int digits, int sign, int comma, cz_str_t **r) {
    char raw[640], text[640];
    int n, k = 0, i = 0, negative = (int)(cz_bits(x) >> 63);
    if (type == '%') x *= 100.0;
    if (!cz_finite(x) || digits > 60) return 1;
    if (negative) x = -x;
    n = type == 'e' ? snprintf(raw, sizeof raw, "%.*e", digits, x) : snprintf(raw, sizeof raw, "%.*f", digits, x);
    while (i < n && cz_digit((u8)raw[i])) text[k++] = raw[i++];
    if (digits && i < n) {
        while (i < n && !cz_digit((u8)raw[i])) i++;
        text[k++] = '.';
    }
    while (i < n) text[k++] = raw[i++];
    if (type == '%') text[k++] = '%';
    return !(*r = cz_signed(rt, text, k, negative, sign, comma));
}
