// A pool of threads around moodycamel's BlockingConcurrentQueue. See ../README.md for the protocol.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <concurrentqueue/blockingconcurrentqueue.h>

using kernel = std::int64_t (*)(std::int64_t);

static std::int64_t noop(std::int64_t)
{
    return 0;
}

static std::int64_t price(std::int64_t quantity)
{
    return quantity * 3 + 7;
}

static std::int64_t spin(std::int64_t turns)
{
    std::int64_t x = 1;
    for (std::int64_t i = 0; i < turns; i++)
        x = (x * 1103515245 + 12345) % 2147483648;
    return x;
}

// How many are not done yet; the last one wakes the submitter.
struct batch {
    std::atomic<std::size_t> left;
    std::mutex mutex;
    std::condition_variable done;

    void finish_one()
    {
        if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            const std::lock_guard<std::mutex> lock(mutex);
            done.notify_one();
        }
    }

    void wait()
    {
        std::unique_lock<std::mutex> lock(mutex);
        done.wait(lock, [this] { return left.load(std::memory_order_acquire) == 0; });
    }
};

int main(int, char **argv)
{
    const std::string workload = argv[1];
    const std::int64_t turns = std::stoll(argv[2]);
    const int workers = std::stoi(argv[3]);
    const kernel run = workload == "noop" ? noop : workload == "price" ? price : workload == "spin" ? spin : nullptr;
    if (run == nullptr) {
        std::cerr << "no such workload: " << workload << "\n";
        return 2;
    }

    moodycamel::BlockingConcurrentQueue<std::function<void()>> queue;
    std::vector<std::thread> threads;
    for (int i = 0; i < workers; i++)
        threads.emplace_back([&queue] {
            moodycamel::ConsumerToken token(queue);
            std::function<void()> job;
            for (;;) {
                queue.wait_dequeue(token, job);
                if (!job)
                    return;
                job();
            }
        });

    {
        moodycamel::ProducerToken token(queue);
        std::string line;
        while (std::getline(std::cin, line)) {
            const std::size_t n = std::stoul(line);
            const auto start = std::chrono::steady_clock::now();
            std::vector<std::unique_ptr<std::int64_t>> results(n);
            batch all;
            all.left = n;
            for (std::size_t i = 0; i < n; i++) {
                results[i] = std::make_unique<std::int64_t>();
                std::int64_t *slot = results[i].get();
                const std::int64_t arg = workload == "price" ? static_cast<std::int64_t>(i) : turns;
                queue.enqueue(token, [slot, arg, run, &all] {
                    *slot = run(arg);
                    all.finish_one();
                });
            }
            all.wait();
            std::int64_t sum = 0;
            for (const auto &slot : results)
                sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) + static_cast<std::uint64_t>(*slot));
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            std::printf("%.9f %lld\n", seconds.count(), static_cast<long long>(sum));
            std::fflush(stdout);
        }
    }
    for (int i = 0; i < workers; i++)
        queue.enqueue(nullptr);
    for (auto &thread : threads)
        thread.join();
}
