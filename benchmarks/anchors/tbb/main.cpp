// oneTBB's task_group: run() for each task, wait() for all. See ../README.md for the protocol.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <tbb/global_control.h>
#include <tbb/task_group.h>

using kernel = std::int64_t (*)(std::int64_t);

static std::int64_t noop(std::int64_t) { return 0; }

static std::int64_t price(std::int64_t quantity) { return quantity * 3 + 7; }

static std::int64_t spin(std::int64_t turns)
{
    std::int64_t x = 1;
    for (std::int64_t i = 0; i < turns; i++)
        x = (x * 1103515245 + 12345) % 2147483648;
    return x;
}

static std::int64_t tree(std::int64_t depth)
{
    if (depth == 0)
        return 1;
    std::int64_t left = 0, right = 0;
    tbb::task_group both;
    both.run([&] { left = tree(depth - 1); });
    both.run([&] { right = tree(depth - 1); });
    both.wait();
    return left + right;
}

int main(int, char **argv)
{
    const std::string workload = argv[1];
    const std::int64_t turns = std::stoll(argv[2]);
    const int workers = std::stoi(argv[3]);
    kernel run = workload == "noop" ? noop : workload == "price" ? price : workload == "spin" ? spin : nullptr;
    if (workload == "tree")
        run = tree;
    if (run == nullptr) {
        std::cerr << "no such workload: " << workload << "\n";
        return 2;
    }
    // The submitting thread counts as one of them, and runs tasks while it waits.
    tbb::global_control parallelism(tbb::global_control::max_allowed_parallelism, workers + 1);

    std::string line;
    while (std::getline(std::cin, line)) {
        const std::size_t n = std::stoul(line);
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::unique_ptr<std::int64_t>> results(n);
        tbb::task_group group;
        for (std::size_t i = 0; i < n; i++) {
            results[i] = std::make_unique<std::int64_t>();
            std::int64_t *slot = results[i].get();
            const std::int64_t arg = workload == "price" ? static_cast<std::int64_t>(i) : turns;
            group.run([slot, arg, run] { *slot = run(arg); });
        }
        group.wait();
        std::int64_t sum = 0;
        for (const auto &slot : results)
            sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) + static_cast<std::uint64_t>(*slot));
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        std::printf("%.9f %lld\n", seconds.count(), static_cast<long long>(sum));
        std::fflush(stdout);
    }
}
