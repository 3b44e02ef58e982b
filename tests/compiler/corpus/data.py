"""Lists, dicts and tuples: what tasks compute over batches of values."""

import math


def total(values: list[int]) -> int:
    return sum(values)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def variance(values: list[float]) -> float:
    m = sum(values) / len(values)
    return sum((v - m) ** 2 for v in values) / len(values)


def standard_deviation(values: list[float]) -> float:
    m = sum(values) / len(values)
    total = 0.0
    for v in values:
        total += (v - m) * (v - m)
    return math.sqrt(total / len(values))


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    index = int(share * (len(ordered) - 1))
    return ordered[index]


def minmax(values: list[int]) -> tuple[int, int]:
    return min(values), max(values)


def argmax(values: list[float]) -> int:
    best = 0
    for i in range(1, len(values)):
        if values[i] > values[best]:
            best = i
    return best


def first_negative(values: list[int]) -> int | None:
    for value in values:
        if value < 0:
            return value
    return None


def largest(values: list[int]) -> int | None:
    best = None
    for value in values:
        if best is None or value > best:
            best = value
    return best


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


def norm(v: list[float]) -> float:
    return math.sqrt(sum(x * x for x in v))


def normalize(v: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in v))
    return [x / length for x in v]


def cosine(a: list[float], b: list[float]) -> float:
    ab = aa = bb = 0.0
    for x, y in zip(a, b):
        ab += x * y
        aa += x * x
        bb += y * y
    return ab / math.sqrt(aa * bb)


def moving_average(values: list[float], window: int) -> list[float]:
    result = []
    for i in range(len(values) - window + 1):
        result.append(sum(values[i : i + window]) / window)
    return result


def cumulative(values: list[int]) -> list[int]:
    out = []
    running = 0
    for value in values:
        running += value
        out.append(running)
    return out


def differences(values: list[int]) -> list[int]:
    return [b - a for a, b in zip(values, values[1:])]


def evens(values: list[int]) -> list[int]:
    return [v for v in values if v % 2 == 0]


def squares(n: int) -> list[int]:
    return [i * i for i in range(n)]


def unique(values: list[int]) -> list[int]:
    seen: dict[int, bool] = {}
    out = []
    for value in values:
        if value not in seen:
            seen[value] = True
            out.append(value)
    return out


def histogram(values: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def mode(values: list[int]) -> int:
    counts: dict[int, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    best, best_count = values[0], 0
    for value, count in counts.items():
        if count > best_count:
            best, best_count = value, count
    return best


def bucketize(values: list[float], width: float) -> dict[int, int]:
    buckets: dict[int, int] = {}
    for value in values:
        bucket = int(value // width)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return buckets


def binary_search(values: list[int], target: int) -> int:
    low, high = 0, len(values) - 1
    while low <= high:
        middle = (low + high) // 2
        if values[middle] == target:
            return middle
        if values[middle] < target:
            low = middle + 1
        else:
            high = middle - 1
    return -1


def bubble_sort(values: list[int]) -> list[int]:
    items = list(values)
    n = len(items)
    for i in range(n):
        for j in range(n - i - 1):
            if items[j] > items[j + 1]:
                items[j], items[j + 1] = items[j + 1], items[j]
    return items


def insertion_sort(values: list[float]) -> list[float]:
    items = values[:]
    for i in range(1, len(items)):
        key = items[i]
        j = i - 1
        while j >= 0 and items[j] > key:
            items[j + 1] = items[j]
            j -= 1
        items[j + 1] = key
    return items


def merge(a: list[int], b: list[int]) -> list[int]:
    out = []
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            out.append(a[i])
            i += 1
        else:
            out.append(b[j])
            j += 1
    out.extend(a[i:])
    out.extend(b[j:])
    return out


def primes_below(n: int) -> list[int]:
    sieve = [True] * n
    for i in range(2, int(n**0.5) + 1):
        if sieve[i]:
            for j in range(i * i, n, i):
                sieve[j] = False
    return [i for i in range(2, n) if sieve[i]]


def prime_factors(n: int) -> list[int]:
    factors = []
    d = 2
    while d * d <= n:
        while n % d == 0:
            factors.append(d)
            n //= d
        d += 1
    if n > 1:
        factors.append(n)
    return factors


def pascal(rows: int) -> list[list[int]]:
    triangle = [[1]]
    for _ in range(rows - 1):
        last = triangle[-1]
        row = [1]
        for i in range(len(last) - 1):
            row.append(last[i] + last[i + 1])
        row.append(1)
        triangle.append(row)
    return triangle


def matrix_multiply(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[sum(a[i][k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))] for i in range(len(a))]


def transpose(m: list[list[int]]) -> list[list[int]]:
    return [[row[i] for row in m] for i in range(len(m[0]))]


def identity(n: int) -> list[list[int]]:
    return [[1 if i == j else 0 for j in range(n)] for i in range(n)]


def trace(m: list[list[float]]) -> float:
    return sum(m[i][i] for i in range(len(m)))


def flatten(rows: list[list[int]]) -> list[int]:
    return [value for row in rows for value in row]


def chunk_sums(values: list[int], size: int) -> list[int]:
    return [sum(values[i : i + size]) for i in range(0, len(values), size)]


def two_sum(values: list[int], target: int) -> tuple[int, int] | None:
    seen: dict[int, int] = {}
    for i, value in enumerate(values):
        if target - value in seen:
            return seen[target - value], i
        seen[value] = i
    return None


def max_subarray(values: list[int]) -> int:
    best = current = values[0]
    for value in values[1:]:
        current = max(value, current + value)
        best = max(best, current)
    return best


def knapsack(weights: list[int], values: list[int], capacity: int) -> int:
    best = [0] * (capacity + 1)
    for weight, value in zip(weights, values):
        for c in range(capacity, weight - 1, -1):
            best[c] = max(best[c], best[c - weight] + value)
    return best[capacity]


def coin_change(coins: list[int], amount: int) -> int:
    ways = [1] + [0] * amount
    for coin in coins:
        for value in range(coin, amount + 1):
            ways[value] += ways[value - coin]
    return ways[amount]


def longest_increasing(values: list[int]) -> int:
    lengths = [1] * len(values)
    for i in range(len(values)):
        for j in range(i):
            if values[j] < values[i] and lengths[j] + 1 > lengths[i]:
                lengths[i] = lengths[j] + 1
    return max(lengths, default=0)


def life_step(grid: list[list[int]]) -> list[list[int]]:
    height, width = len(grid), len(grid[0])
    out = []
    for y in range(height):
        row = []
        for x in range(width):
            around = 0
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if dy or dx:
                        around += grid[(y + dy) % height][(x + dx) % width]
            row.append(1 if around == 3 or (grid[y][x] and around == 2) else 0)
        out.append(row)
    return out


def breadth_first(edges: list[list[int]], start: int) -> list[int]:
    distances = [-1] * len(edges)
    distances[start] = 0
    queue = [start]
    while queue:
        node = queue.pop(0)
        for neighbour in edges[node]:
            if distances[neighbour] < 0:
                distances[neighbour] = distances[node] + 1
                queue.append(neighbour)
    return distances


def linear_fit(xs: list[float], ys: list[float]) -> tuple[float, float]:
    n = len(xs)
    sx, sy = sum(xs), sum(ys)
    sxy = sum(x * y for x, y in zip(xs, ys))
    sxx = sum(x * x for x in xs)
    slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
    return slope, (sy - slope * sx) / n


def horner(coefficients: list[float], x: float) -> float:
    result = 0.0
    for c in reversed(coefficients):
        result = result * x + c
    return result


def exponential_smoothing(values: list[float], alpha: float = 0.5) -> list[float]:
    smoothed = [values[0]]
    for value in values[1:]:
        smoothed.append(alpha * value + (1 - alpha) * smoothed[-1])
    return smoothed


def rle_pairs(values: list[int]) -> list[tuple[int, int]]:
    pairs = []
    i = 0
    while i < len(values):
        j = i
        while j < len(values) and values[j] == values[i]:
            j += 1
        pairs.append((values[i], j - i))
        i = j
    return pairs


def outliers(values: list[float], limit: float) -> list[float]:
    m = sum(values) / len(values)
    return [v for v in values if abs(v - m) > limit]


def rotate(values: list[int], by: int) -> list[int]:
    by %= len(values)
    return values[by:] + values[:by]


def reverse(values: list[int]) -> list[int]:
    return values[::-1]


def index_of(values: list[str], wanted: str) -> int:
    for i, value in enumerate(values):
        if value == wanted:
            return i
    return -1


def join_numbers(values: list[int]) -> str:
    return ", ".join(str(v) for v in values)


def lengths(words: list[str]) -> list[int]:
    return [len(word) for word in words]


def long_words(words: list[str], least: int) -> list[str]:
    return [word.upper() for word in words if len(word) >= least]


def group_by_length(words: list[str]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for word in words:
        if len(word) not in groups:
            groups[len(word)] = []
        groups[len(word)].append(word)
    return groups


def all_positive(values: list[float]) -> bool:
    return all(v > 0 for v in values)


def any_over(values: list[int], limit: int) -> bool:
    for value in values:
        if value > limit:
            return True
    else:
        return False


def monte_carlo_pi(samples: int, seed: int) -> float:
    inside = 0
    for _ in range(samples):
        seed = (seed * 16807) % 2147483647
        x = seed / 2147483647
        seed = (seed * 16807) % 2147483647
        y = seed / 2147483647
        if x * x + y * y <= 1.0:
            inside += 1
    return 4 * inside / samples


def invert(mapping: dict[str, int]) -> dict[int, str]:
    return {value: key for key, value in mapping.items()}


def total_price(prices: dict[str, float], basket: list[str]) -> float:
    total = 0.0
    for item in basket:
        total += prices.get(item, 0.0)
    return round(total, 2)


def highest_score(scores: dict[str, int]) -> str:
    best_name, best = "", -1
    for name, score in scores.items():
        if score > best:
            best_name, best = name, score
    return best_name


def filter_scores(scores: dict[str, int], least: int) -> dict[str, int]:
    return {name: score for name, score in scores.items() if score >= least}


CALLS = [
    (total, [([1, 2, 3],), ([],)]),
    (mean, [([1.5, 2.5, 4.0],)]),
    (variance, [([1.0, 2.0, 4.0],)]),
    (standard_deviation, [([1.0, 2.0, 4.5],)]),
    (median, [([3.0, 1.0, 2.0],), ([4.0, 1.0, 2.0, 3.0],)]),
    (percentile, [([float(i) for i in range(20)], 0.9)]),
    (minmax, [([3, 1, 2],)]),
    (argmax, [([0.1, 0.7, 0.3],)]),
    (first_negative, [([1, -2, 3],), ([1],)]),
    (largest, [([1, 5, 3],), ([],)]),
    (dot, [([1.0, 2.0], [3.0, 4.0])]),
    (norm, [([3.0, 4.0],)]),
    (normalize, [([3.0, 4.0],)]),
    (cosine, [([1.0, 2.0], [2.0, 3.5])]),
    (moving_average, [([1.0, 2.0, 3.0, 4.0], 2)]),
    (cumulative, [([1, 2, 3],)]),
    (differences, [([1, 4, 9, 16],)]),
    (evens, [([1, 2, 3, 4],)]),
    (squares, [(5,)]),
    (unique, [([1, 2, 1, 3, 2],)]),
    (histogram, [([1, 2, 2, 3, 3, 3],), (list(range(40)),)]),
    (mode, [([1, 2, 2, 3],)]),
    (bucketize, [([0.5, 1.5, 1.7], 1.0)]),
    (binary_search, [([1, 3, 5, 7, 9], 7), ([1, 3], 2)]),
    (bubble_sort, [([5, 2, 9, 1],)]),
    (insertion_sort, [([5.0, 2.0, 9.0, 1.0],)]),
    (merge, [([1, 4, 6], [2, 3, 7, 8])]),
    (primes_below, [(50,)]),
    (prime_factors, [(360,), (97,)]),
    (pascal, [(6,)]),
    (matrix_multiply, [([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])]),
    (transpose, [([[1, 2, 3], [4, 5, 6]],)]),
    (identity, [(3,)]),
    (trace, [([[1.0, 2.0], [3.0, 4.0]],)]),
    (flatten, [([[1, 2], [], [3]],)]),
    (chunk_sums, [([1, 2, 3, 4, 5], 2)]),
    (two_sum, [([2, 7, 11, 15], 9), ([1, 2], 9)]),
    (max_subarray, [([-2, 1, -3, 4, -1, 2, 1, -5, 4],)]),
    (knapsack, [([1, 3, 4, 5], [1, 4, 5, 7], 7)]),
    (coin_change, [([1, 2, 5], 11)]),
    (longest_increasing, [([10, 9, 2, 5, 3, 7, 101, 18],), ([],)]),
    (life_step, [([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]],)]),
    (breadth_first, [([[1, 2], [3], [3], []], 0)]),
    (linear_fit, [([1.0, 2.0, 3.0], [2.1, 3.9, 6.2])]),
    (horner, [([1.0, 2.0, 3.0], 2.0)]),
    (exponential_smoothing, [([1.0, 2.0, 3.0],)]),
    (rle_pairs, [([1, 1, 2, 3, 3],)]),
    (outliers, [([1.0, 2.0, 50.0], 20.0)]),
    (rotate, [([1, 2, 3, 4], 1)]),
    (reverse, [([1, 2, 3],)]),
    (index_of, [(["a", "b"], "b"), (["a"], "z")]),
    (join_numbers, [([1, 2, 3],)]),
    (lengths, [(["a", "bcd"],)]),
    (long_words, [(["tiny", "enormous"], 5)]),
    (group_by_length, [(["a", "bb", "c", "dd"],)]),
    (all_positive, [([1.0, 2.0],), ([1.0, -2.0],)]),
    (any_over, [([1, 2, 3], 2), ([1], 2)]),
    (monte_carlo_pi, [(1000, 42)]),
    (invert, [({"a": 1, "b": 2},)]),
    (total_price, [({"tea": 2.5, "cake": 3.2}, ["tea", "cake", "tea", "none"])]),
    (highest_score, [({"ann": 3, "bob": 7},)]),
    (filter_scores, [({"ann": 3, "bob": 7}, 5)]),
]
