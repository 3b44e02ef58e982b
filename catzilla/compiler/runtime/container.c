static cz_list_t *cz_new_list(cz_runtime_t *rt, i64 capacity, i64 size) {
    if (capacity < 0 || capacity > rt->limit / 16) return 0;
    cz_list_t *l = cz_alloc(rt, (i64)sizeof(cz_list_t));
    if (!l) return 0;
    l->length = 0;
    l->capacity = capacity;
    l->items = 0;
    if (capacity && !(l->items = cz_alloc(rt, capacity * size))) return 0;
    return l;
}
/* Room for one more. A list at the end of the arena grows where it is. */
static int cz_grow(cz_runtime_t *rt, cz_list_t *l, i64 size) {
    if (l->length < l->capacity) return 0;
    i64 capacity = l->capacity < 4 ? 8 : l->capacity * 2;
    if (capacity > rt->limit / 16) return 1;
    char *end = (char *)l->items + ((l->capacity * size + 15) & ~15LL);
    if (l->capacity && end == rt->next && rt->end - end >= capacity * size - (end - (char *)l->items) + 16) {
        rt->next = (char *)l->items + ((capacity * size + 15) & ~15LL);
    } else {
        void *items = cz_alloc(rt, capacity * size);
        if (!items) return 1;
        if (l->length) memcpy(items, l->items, (unsigned long)(l->length * size));
        l->items = items;
    }
    l->capacity = capacity;
    return 0;
}
static inline int cz_index(i64 *i, i64 length) {
    if (*i < 0) *i += length;
    return *i < 0 || *i >= length;
}
static cz_list_t *cz_slice_list(cz_runtime_t *rt, const cz_list_t *l, i64 start, i64 stop, i64 size) {
    cz_clip(l->length, &start, &stop);
    cz_list_t *r = cz_new_list(rt, stop - start, size);
    if (!r) return 0;
    if (stop > start) memcpy(r->items, (const char *)l->items + start * size, (unsigned long)((stop - start) * size));
    r->length = stop - start;
    return r;
}
static cz_list_t *cz_repeat_list(cz_runtime_t *rt, const cz_list_t *a, i64 count, i64 size) {
    if (count < 0) count = 0;
    if (a->length && count > rt->limit / 16 / a->length) return 0;
    cz_list_t *r = cz_new_list(rt, a->length * count, size);
    if (!r) return 0;
    for (i64 i = 0; i < count && a->length; i++) memcpy((char *)r->items + i * a->length * size, a->items, (unsigned long)(a->length * size));
    r->length = a->length * count;
    return r;
}
static void cz_reverse(cz_list_t *l, i64 size) {
    char *a = l->items, *b = a + (l->length - 1) * size, t[16];
    for (; l->length && a < b; a += size, b -= size) {
        memcpy(t, a, (unsigned long)size);
        memcpy(a, b, (unsigned long)size);
        memcpy(b, t, (unsigned long)size);
    }
}
/* a < b for a sort; how: i(nt) d(ouble) s(tr) */
static inline int cz_less(const void *a, const void *b, int how) {
    if (how == 'i') return *(const i64 *)a < *(const i64 *)b;
    if (how == 'd') return *(const double *)a < *(const double *)b;
    return cz_str_cmp(*(cz_str_t *const *)a, *(cz_str_t *const *)b) < 0;
}
/* A stable merge sort gives what any stable sort gives, as long as the order is total: not with NaN. */
static int cz_sort(cz_runtime_t *rt, cz_list_t *l, int how, int backwards) {
    i64 n = l->length, width;
    if (how == 'd') for (i64 i = 0; i < n; i++) if (((double *)l->items)[i] != ((double *)l->items)[i]) return 1;
    if (n < 2) return 0;
    u64 *from = l->items, *to = cz_alloc(rt, n * 8);
    if (!to) return 1;
    for (width = 1; width < n; width *= 2) {
        for (i64 low = 0; low < n; low += 2 * width) {
            i64 middle = low + width < n ? low + width : n, high = low + 2 * width < n ? low + 2 * width : n;
            i64 a = low, b = middle, k = low;
            while (a < middle && b < high) {
                int right = backwards ? cz_less(from + a, from + b, how) : cz_less(from + b, from + a, how);
                to[k++] = right ? from[b++] : from[a++];
            }
            while (a < middle) to[k++] = from[a++];
            while (b < high) to[k++] = from[b++];
        }
        u64 *swap = from; from = to; to = swap;
        if (rt->stop) return CZ_STOPPED;
    }
    if (from != l->items) memcpy(l->items, from, (unsigned long)n * 8);
    return 0;
}

static cz_dict_t *cz_new_dict(cz_runtime_t *rt) {
    cz_dict_t *d = cz_alloc(rt, (i64)sizeof(cz_dict_t));
    if (!d) return 0;
    d->length = d->capacity = d->index_size = 0;
    d->keys = 0;
    d->values = 0;
    d->index = 0;
    return d;
}
static u64 cz_mix(u64 h) {
    h ^= h >> 33; h *= 0xff51afd7ed558ccdULL; h ^= h >> 33; h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
}
static u64 cz_hash_str(const cz_str_t *s) {
    u64 h = 14695981039346656037ULL;
    for (i64 i = 0; i < s->length; i++) h = (h ^ cz_at(s, i)) * 1099511628211ULL;
    return cz_mix(h);
}
/* Keys are ints or (text) strings; a dict of up to eight is searched without an index. */
static inline int cz_key_eq(const cz_dict_t *d, i64 at, i64 i, const cz_str_t *s) {
    return s ? cz_str_eq(((cz_str_t **)d->keys)[at], s) : ((i64 *)d->keys)[at] == i;
}
static int cz_reindex(cz_runtime_t *rt, cz_dict_t *d, int text) {
    i64 size = 16;
    while (size < d->capacity * 2) size *= 2;
    if (d->index_size < size) {
        if (!(d->index = cz_alloc(rt, size * 4))) return 1;
        d->index_size = size;
    }
    for (i64 i = 0; i < size; i++) d->index[i] = 0;
    for (i64 i = 0; i < d->length; i++) {
        u64 h = text ? cz_hash_str(((cz_str_t **)d->keys)[i]) : cz_mix((u64)((i64 *)d->keys)[i]);
        while (d->index[h & (u64)(size - 1)]) h++;
        d->index[h & (u64)(size - 1)] = (u32)(i + 1);
    }
    return 0;
}
/* The position, or -1. -2: no memory for the index. */
static i64 cz_lookup(cz_runtime_t *rt, cz_dict_t *d, i64 i, const cz_str_t *s) {
    if (d->length <= 8) {
        for (i64 k = 0; k < d->length; k++) if (cz_key_eq(d, k, i, s)) return k;
        return -1;
    }
    if (!d->index && cz_reindex(rt, d, s != 0)) return -2;
    u64 h = s ? cz_hash_str(s) : cz_mix((u64)i);
    for (;; h++) {
        u32 at = d->index[h & (u64)(d->index_size - 1)];
        if (!at) return -1;
        if (cz_key_eq(d, at - 1, i, s)) return at - 1;
    }
}
static int cz_store(cz_runtime_t *rt, cz_dict_t *d, i64 i, cz_str_t *s, cz_value_t v) {
    i64 at = cz_lookup(rt, d, i, s);
    if (at >= 0) { d->values[at] = v; return 0; }
    if (at == -2) return 1;
    if (d->length == d->capacity) {
        i64 capacity = d->capacity ? d->capacity * 2 : 8;
        if (capacity > rt->limit / 64 || capacity > 0x3fffffff) return 1;
        i64 *keys = cz_alloc(rt, capacity * 8);
        cz_value_t *values = cz_alloc(rt, capacity * 16);
        if (!keys || !values) return 1;
        if (d->length) {
            memcpy(keys, d->keys, (unsigned long)d->length * 8);
            memcpy(values, d->values, (unsigned long)d->length * 16);
        }
        d->keys = keys;
        d->values = values;
        d->capacity = capacity;
        if (d->index && cz_reindex(rt, d, s != 0)) return 1;
    }
    if (s) ((cz_str_t **)d->keys)[d->length] = s;
    else ((i64 *)d->keys)[d->length] = i;
    d->values[d->length++] = v;
    if (d->index) {
        u64 h = s ? cz_hash_str(s) : cz_mix((u64)i);
        while (d->index[h & (u64)(d->index_size - 1)]) h++;
        d->index[h & (u64)(d->index_size - 1)] = (u32)d->length;
    }
    return 0;
}

static int cz_push_str(cz_runtime_t *rt, cz_list_t *l, const cz_str_t *s, i64 start, i64 length) {
    cz_str_t *part = cz_sub_str(rt, s, start, length);
    if (!part || cz_grow(rt, l, 8)) return 1;
    ((cz_str_t **)l->items)[l->length++] = part;
    return 0;
}
/* by 0: at whitespace (ASCII); most -1: no limit */
static int cz_split(cz_runtime_t *rt, const cz_str_t *s, const cz_str_t *by, i64 most, cz_list_t **r) {
    i64 at = 0, hit, n = s->length;
    cz_list_t *l = *r = cz_new_list(rt, 8, 8);
    if (!l) return 1;
    if (by) {
        if (!by->length) return 1;
        while (most-- != 0 && (hit = cz_find(s, by, at)) >= 0) {
            if (cz_push_str(rt, l, s, at, hit - at)) return 1;
            at = hit + by->length;
        }
        return cz_push_str(rt, l, s, at, n - at);
    }
    if (most >= 0 || cz_not_ascii(s)) return 1;
    for (;;) {
        while (at < n && cz_space(cz_at(s, at))) at++;
        if (at == n) return 0;
        hit = at;
        while (at < n && !cz_space(cz_at(s, at))) at++;
        if (cz_push_str(rt, l, s, hit, at - hit)) return 1;
    }
}
static int cz_splitlines(cz_runtime_t *rt, const cz_str_t *s, cz_list_t **r) {
    i64 at = 0, n = s->length, start;
    cz_list_t *l = *r = cz_new_list(rt, 8, 8);
    if (!l || cz_not_ascii(s)) return 1;
    while (at < n) {
        start = at;
        while (at < n && !((cz_at(s, at) >= 10 && cz_at(s, at) <= 13) || (cz_at(s, at) >= 28 && cz_at(s, at) <= 30))) at++;
        if (cz_push_str(rt, l, s, start, at - start)) return 1;
        if (at < n && cz_at(s, at) == 13 && at + 1 < n && cz_at(s, at + 1) == 10) at++;
        at++;
    }
    return 0;
}
