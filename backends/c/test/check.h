/* The least of a test framework: a check that fails says where, and ends the program. */
#ifndef CATZILLA_TEST_CHECK_H
#define CATZILLA_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

void test_express(void);
void test_queue(void);
void test_ticks(void);
void test_timer(void);
void test_pool(void);
void test_metrics(void);
void test_workers(void);

#endif
