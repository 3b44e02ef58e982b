// The least of a test framework: a check that fails says where, and ends the program.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                       \
            std::exit(1);                                                                                              \
        }                                                                                                              \
    } while (0)

void test_arena();
void test_pool();
void test_ticks();
void test_timer();
void test_queue();
void test_stealing();
void test_metrics();
void test_workers();
