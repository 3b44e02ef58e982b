"""Arithmetic as tasks do it: money, geometry, statistics, number theory."""

import math

TAX_RATE = 0.19
FREE_SHIPPING_FROM = 50.0
TIERS = (10, 25, 50)


def add(a: int, b: int) -> int:
    return a + b


def net_to_gross(net: float) -> float:
    return round(net * (1 + TAX_RATE), 2)


def shipping_cost(total: float, weight: float) -> float:
    if total >= FREE_SHIPPING_FROM:
        return 0.0
    return 4.9 if weight < 5 else 4.9 + (weight - 5) * 0.7


def discount_tier(quantity: int) -> int:
    if quantity >= TIERS[2]:
        return 20
    elif quantity >= TIERS[1]:
        return 10
    elif quantity >= TIERS[0]:
        return 5
    return 0


def compound_interest(principal: float, rate: float, years: int) -> float:
    for _ in range(years):
        principal *= 1 + rate / 100
    return principal


def loan_payment(amount: float, annual_rate: float, months: int) -> float:
    if annual_rate == 0:
        return amount / months
    monthly = annual_rate / 12 / 100
    return amount * monthly / (1 - (1 + monthly) ** -months)


def celsius_to_fahrenheit(celsius: float) -> float:
    return celsius * 9 / 5 + 32


def body_mass_index(weight: float, height: float) -> float:
    return round(weight / height**2, 1)


def haversine(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    dphi = math.radians(lat2 - lat1)
    dlambda = math.radians(lon2 - lon1)
    a = math.sin(dphi / 2) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(dlambda / 2) ** 2
    return 6371.0 * 2 * math.atan2(math.sqrt(a), math.sqrt(1 - a))


def distance(x1: float, y1: float, x2: float, y2: float) -> float:
    return math.sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2)


def quadratic(a: float, b: float, c: float) -> tuple[float, float] | None:
    d = b * b - 4 * a * c
    if d < 0:
        return None
    root = math.sqrt(d)
    return (-b + root) / (2 * a), (-b - root) / (2 * a)


def is_prime(n: int) -> bool:
    if n < 2:
        return False
    if n % 2 == 0:
        return n == 2
    i = 3
    while i * i <= n:
        if n % i == 0:
            return False
        i += 2
    return True


def gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def lcm(a: int, b: int) -> int:
    return abs(a * b) // math.gcd(a, b)


def factorial(n: int) -> int:
    result = 1
    for i in range(2, n + 1):
        result *= i
    return result


def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def fib_recursive(n: int) -> int:
    if n < 2:
        return n
    return fib_recursive(n - 1) + fib_recursive(n - 2)


def ackermann(m: int, n: int) -> int:
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def collatz_steps(n: int) -> int:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def power_mod(base: int, exponent: int, modulus: int) -> int:
    result = 1
    base %= modulus
    while exponent > 0:
        if exponent & 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return result


def digit_sum(n: int) -> int:
    total = 0
    while n:
        n, digit = divmod(n, 10)
        total += digit
    return total


def reverse_digits(n: int) -> int:
    result = 0
    while n > 0:
        result = result * 10 + n % 10
        n //= 10
    return result


def popcount(n: int) -> int:
    count = 0
    while n:
        n &= n - 1
        count += 1
    return count


def isqrt_newton(n: int) -> int:
    if n < 2:
        return n
    x = n
    y = (x + 1) // 2
    while y < x:
        x = y
        y = (x + n // x) // 2
    return x


def pi_leibniz(terms: int) -> float:
    total = 0.0
    for k in range(terms):
        total += (-1) ** k / (2 * k + 1)
    return 4 * total


def integrate_square(a: float, b: float, steps: int) -> float:
    width = (b - a) / steps
    area = 0.0
    for i in range(steps):
        x = a + (i + 0.5) * width
        area += x * x * width
    return area


def newton_sqrt(value: float) -> float:
    guess = value / 2
    while abs(guess * guess - value) > 1e-9:
        guess = (guess + value / guess) / 2
    return guess


def mandelbrot(cx: float, cy: float, limit: int = 100) -> int:
    x = y = 0.0
    for i in range(limit):
        x, y = x * x - y * y + cx, 2 * x * y + cy
        if x * x + y * y > 4:
            return i
    return limit


def julia_row(y: float, width: int) -> list[int]:
    row = []
    for px in range(width):
        zx, zy = 3.0 * px / width - 1.5, y
        n = 0
        while zx * zx + zy * zy < 4 and n < 50:
            zx, zy = zx * zx - zy * zy - 0.7, 2 * zx * zy + 0.27
            n += 1
        row.append(n)
    return row


def clamp(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))


def lerp(a: float, b: float, t: float) -> float:
    return a + (b - a) * t


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def percentage(part: int, whole: int) -> float:
    if whole == 0:
        return 0.0
    return part / whole * 100


def is_leap_year(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if is_leap_year(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def weekday(year: int, month: int, day: int) -> int:
    if month < 3:
        month += 12
        year -= 1
    return (day + 13 * (month + 1) // 5 + year + year // 4 - year // 100 + year // 400) % 7


def seconds_to_parts(seconds: int) -> tuple[int, int, int]:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return hours, minutes, seconds


def retry_delay(attempt: int, base: float = 0.1, cap: float = 60.0) -> float:
    return min(cap, base * 2**attempt)


def triangle(a: float, b: float, c: float) -> str:
    if a + b <= c or a + c <= b or b + c <= a:
        return "none"
    if a == b == c:
        return "equilateral"
    return "isosceles" if a == b or b == c or a == c else "scalene"


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def entropy_of(p: float) -> float:
    if p <= 0 or p >= 1:
        return 0.0
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def normal_density(x: float, mu: float = 0.0, sigma: float = 1.0) -> float:
    return math.exp(-((x - mu) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))


def checksum(number: int) -> bool:
    total, double = 0, False
    while number > 0:
        digit = number % 10
        if double:
            digit *= 2
            if digit > 9:
                digit -= 9
        total += digit
        double = not double
        number //= 10
    return total % 10 == 0


def perfect(n: int) -> bool:
    return n > 1 and sum(i for i in range(1, n // 2 + 1) if n % i == 0) == n


def binomial(n: int, k: int) -> int:
    if k < 0 or k > n:
        return 0
    result = 1
    for i in range(min(k, n - k)):
        result = result * (n - i) // (i + 1)
    return result


def lcg(seed: int, rounds: int) -> int:
    for _ in range(rounds):
        seed = (seed * 1103515245 + 12345) % 2147483648
    return seed


def xorshift(seed: int) -> int:
    seed ^= (seed << 13) & 0xFFFFFFFF
    seed ^= seed >> 17
    seed ^= (seed << 5) & 0xFFFFFFFF
    return seed


CALLS = [
    (add, [(2, 3), (-(2**40), 7)]),
    (net_to_gross, [(100.0,), (19.99,)]),
    (shipping_cost, [(60.0, 1.0), (20.0, 2.0), (20.0, 7.5)]),
    (discount_tier, [(3,), (12,), (30,), (99,)]),
    (compound_interest, [(1000.0, 3.5, 10), (1.0, 0.0, 0)]),
    (loan_payment, [(10000.0, 4.5, 60), (1200.0, 0.0, 12)]),
    (celsius_to_fahrenheit, [(21.5,), (-40.0,)]),
    (body_mass_index, [(70.0, 1.75)]),
    (haversine, [(52.5, 13.4, 48.1, 11.6)]),
    (distance, [(0.0, 0.0, 3.0, 4.0)]),
    (quadratic, [(1.0, -3.0, 2.0), (1.0, 0.0, 1.0)]),
    (is_prime, [(1,), (2,), (97,), (7917,), (10007,)]),
    (gcd, [(48, 36), (17, 5)]),
    (lcm, [(4, 6), (21, 6)]),
    (factorial, [(0,), (5,), (20,)]),
    (fibonacci, [(0,), (10,), (90,)]),
    (fib_recursive, [(1,), (15,)]),
    (ackermann, [(2, 3)]),
    (collatz_steps, [(27,), (97,)]),
    (power_mod, [(3, 200, 1000007), (2, 10, 1000)]),
    (digit_sum, [(98765,), (0,)]),
    (reverse_digits, [(12345,)]),
    (popcount, [(255,), (2**62,)]),
    (isqrt_newton, [(99,), (10**12,)]),
    (pi_leibniz, [(100,)]),
    (integrate_square, [(0.0, 1.0, 100)]),
    (newton_sqrt, [(2.0,), (100.0,)]),
    (mandelbrot, [(0.3, 0.5), (2.0, 2.0, 10)]),
    (julia_row, [(0.1, 20)]),
    (clamp, [(5.0, 0.0, 1.0), (0.5, 0.0, 1.0)]),
    (lerp, [(1.0, 3.0, 0.25)]),
    (sign, [(-2.5,), (0.0,), (7.0,)]),
    (percentage, [(1, 3), (1, 0)]),
    (is_leap_year, [(2000,), (1900,), (2024,)]),
    (days_in_month, [(2024, 2), (2023, 2), (2023, 4), (2023, 5)]),
    (weekday, [(2024, 1, 15), (2023, 11, 3)]),
    (seconds_to_parts, [(3725,)]),
    (retry_delay, [(0,), (5,), (20,)]),
    (triangle, [(3.0, 3.0, 3.0), (3.0, 4.0, 5.0), (1.0, 2.0, 9.0), (2.0, 2.0, 3.0)]),
    (logistic, [(0.5,), (-3.0,)]),
    (entropy_of, [(0.3,), (0.0,)]),
    (normal_density, [(0.5,), (1.0, 2.0, 3.0)]),
    (checksum, [(4539578763621486,), (1234,)]),
    (perfect, [(28,), (27,)]),
    (binomial, [(10, 3), (5, 7), (30, 15)]),
    (lcg, [(42, 10)]),
    (xorshift, [(12345,)]),
]
