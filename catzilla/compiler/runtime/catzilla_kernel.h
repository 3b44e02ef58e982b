/* The kernel ABI: what a compiled task function takes and gives, for all three backends.
 *
 * A kernel is `int kernel(const cz_value_t *args, cz_value_t *result, cz_runtime_t *rt)`. It runs
 * without the GIL, has no effect that anybody could see before it returns CZ_OK, and never fails:
 * what it cannot do exactly as Python would it leaves to Python (CZ_DEOPT), which runs the function
 * again from its start. This file includes nothing and is pasted into every kernel.
 */
enum { CZ_OK = 0, CZ_DEOPT = 1, CZ_STOPPED = 2 };

/* Tags below CZ_FIRST_TYPE are these; from there on a tag is an index into the kernel's own types. */
enum { CZ_NONE = 0, CZ_BOOL = 1, CZ_INT = 2, CZ_FLOAT = 3, CZ_STR = 4, CZ_FIRST_TYPE = 5 };

typedef struct {
    signed long long tag;
    union { signed long long i; double d; void *p; } u; /* i: int and bool; p: one of the structs below */
} cz_value_t;

/* kind: bytes in a code point. Kind 1 holds latin-1; a kernel makes 1 and 4 and reads 1, 2 and 4. */
typedef struct { signed long long length; signed long long kind; const void *data; } cz_str_t;

/* items: long long (int, bool, None), double (float), pointers (str, list, dict, tuple) or cz_value_t. */
typedef struct { signed long long length; signed long long capacity; void *items; } cz_list_t;

/* A tuple is cz_value_t[n]; its length is part of its type. A dict keeps insertion order: keys are
 * long long or cz_str_t *, index is a hash table of positions + 1 that is made when it is needed. */
typedef struct {
    signed long long length; signed long long capacity;
    void *keys; cz_value_t *values;
    unsigned int *index; signed long long index_size;
} cz_dict_t;

/* What one print() wrote: pieces, separator and end, to be printed again by Python after CZ_OK. */
typedef struct cz_print {
    struct cz_print *next;
    signed long long count;
    cz_str_t **pieces; cz_str_t *separator; cz_str_t *end;
} cz_print_t;

/* One run. The host zeroes it, sets limit, depth, stack_bytes and the two functions, and frees `blocks`, a list
 * linked by its first word, once it has read the result. */
typedef struct {
    volatile signed long long stop; /* set by the host at any time: loops return CZ_STOPPED */
    signed long long why;           /* after CZ_DEOPT: index into the kernel's reasons */
    signed long long depth;         /* calls that may still be nested */
    char *stack; signed long long stack_bytes; /* where the kernel began (it says so), and how far calls may go from there */
    char *next; char *end;          /* free memory of the newest block */
    void *blocks;
    signed long long used; signed long long limit; /* bytes of blocks */
    cz_print_t *prints; cz_print_t *last_print;
    void *(*malloc)(unsigned long); void (*free)(void *);
} cz_runtime_t;
