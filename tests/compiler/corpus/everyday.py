"""Everyday functions in the style of public code: orders, texts, tables, statistics, small algorithms."""

from typing import Any

VAT = 0.19
LIMITS = (10, 100, 1000)
SEPARATOR = "; "
DEBUG = False


def parse_pairs(text: str) -> dict:
    result = {}
    for part in text.split("&"):
        if "=" in part:
            key, value = part.split("=", 1)
            result[key] = value
        elif part:
            result[part] = ""
    return result


def word_counts(text: str) -> dict:
    counts: dict[str, int] = {}
    for word in text.lower().split():
        word = word.strip(".,!?;:")
        if word:
            counts[word] = counts.get(word, 0) + 1
    return counts


def run_lengths(text: str) -> list:
    runs = []
    i = 0
    while i < len(text):
        j = i
        while j < len(text) and text[j] == text[i]:
            j += 1
        runs.append((text[i], j - i))
        i = j
    return runs


def encode_runs(text: str) -> str:
    if not text:
        return ""
    parts = []
    count = 1
    for previous, current in zip(text, text[1:]):
        if previous == current:
            count += 1
        else:
            parts.append(f"{count}{previous}")
            count = 1
    parts.append(f"{count}{text[-1]}")
    return "".join(parts)


def wrap(text: str, width: int) -> list:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        lines.append(line)
    return lines


def camel_to_snake(name: str) -> str:
    out = ""
    for i, ch in enumerate(name):
        if ch.isupper() and i > 0:
            out += "_"
        out += ch.lower()
    return out


def snake_to_camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def hexdump(values: list[int]) -> str:
    return " ".join(f"{value:02x}" for value in values)


def parse_float(text: str, default: float = 0.0) -> float:
    try:
        return float(text)
    except ValueError:
        return default


def version_tuple(text: str) -> list:
    return [int(piece) for piece in text.split(".")]


def fnv(text: str) -> int:
    value = 2166136261
    for ch in text:
        value ^= ord(ch)
        value = (value * 16777619) & 0xFFFFFFFF
    return value


def to_base(n: int, base: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    if n == 0:
        return "0"
    negative = n < 0
    n = abs(n)
    out = ""
    while n:
        n, rest = divmod(n, base)
        out = digits[rest] + out
    return "-" + out if negative else out


def human_size(size: int) -> str:
    amount = float(size)
    for unit in ["B", "KB", "MB", "GB"]:
        if amount < 1024:
            return f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def gross(net: float) -> str:
    return f"{net * (1 + VAT):,.2f}"


def order_total(prices: list[float], quantities: list[int], discount: float = 0.0) -> dict:
    subtotal = sum(p * q for p, q in zip(prices, quantities))
    off = subtotal * discount
    return {"subtotal": round(subtotal, 2), "discount": round(off, 2), "total": round(subtotal - off, 2)}


def split_bill(total: float, people: int) -> list:
    cents = round(total * 100)
    share, rest = divmod(cents, people)
    return [(share + (1 if i < rest else 0)) / 100 for i in range(people)]


def loan_rate(amount: float, rate: float, months: int) -> float:
    monthly = rate / 12
    if monthly == 0:
        return amount / months
    factor = (1 + monthly) ** months
    return amount * monthly * factor / (factor - 1)


def bar_chart(values: list[int]) -> str:
    lines = []
    for i, value in enumerate(values):
        lines.append(f"{i:>3} {'#' * value} {value}")
    return "\n".join(lines)


def polygon_area(xs: list[float], ys: list[float]) -> float:
    area = 0.0
    n = len(xs)
    for i in range(n):
        j = (i + 1) % n
        area += xs[i] * ys[j] - xs[j] * ys[i]
    return abs(area) / 2


def primes(n: int) -> list:
    sieve = [True] * (n + 1)
    found = []
    for i in range(2, n + 1):
        if sieve[i]:
            found.append(i)
            for j in range(i * i, n + 1, i):
                sieve[j] = False
    return found


def factors(n: int) -> list:
    out = []
    d = 2
    while d * d <= n:
        while n % d == 0:
            out.append(d)
            n //= d
        d += 1
    if n > 1:
        out.append(n)
    return out


def insertion(values: list[float]) -> list:
    out: list[float] = []
    for v in values:
        i = len(out)
        while i > 0 and out[i - 1] > v:
            i -= 1
        out.insert(i, v)
    return out


def matmul(a: list[list[int]], b: list[list[int]]) -> list:
    out = []
    for i in range(len(a)):
        row = []
        for j in range(len(b[0])):
            row.append(sum(a[i][k] * b[k][j] for k in range(len(b))))
        out.append(row)
    return out


def chunks(values: list[int], size: int) -> list:
    return [values[i : i + size] for i in range(0, len(values), size)]


def edit_distance(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (x != y)))
        previous = current
    return previous[-1]


def rpn(text: str) -> float:
    stack: list[float] = []
    for token in text.split():
        if token in ("+", "-", "*", "/"):
            b = stack.pop()
            a = stack.pop()
            if token == "+":
                stack.append(a + b)
            elif token == "-":
                stack.append(a - b)
            elif token == "*":
                stack.append(a * b)
            else:
                stack.append(a / b)
        else:
            stack.append(float(token))
    return stack[0]


def grade_all(scores: dict[str, float]) -> dict:
    return {name: "pass" if score >= 50 else "fail" for name, score in scores.items()}


def status_line(done: int, total: int, width: int = 20) -> str:
    filled = done * width // total if total else 0
    return f"[{'=' * filled}{' ' * (width - filled)}] {done}/{total}"


def level(value: int) -> int:
    for i, limit in enumerate(LIMITS):
        if value < limit:
            return i
    return len(LIMITS)


def join_names(names: list[str]) -> str:
    if not names:
        return "nobody"
    if len(names) == 1:
        return names[0]
    return SEPARATOR.join(names[:-1]) + " and " + names[-1]


def describe(value: int) -> str:
    kind = "even" if value % 2 == 0 else "odd"
    sign = "negative" if value < 0 else "zero" if value == 0 else "positive"
    if DEBUG:
        print(kind)
    return f"{value!r} is {sign}, {kind}: {value:#x}" if value > 1000 else f"{value} is {sign}, {kind}"


def validate(age: int, name: str) -> tuple:
    errors = []
    if not name.strip():
        errors.append("name is empty")
    if age < 0 or age > 150:
        errors.append(f"age {age} is out of range")
    return (not errors, errors)


def withdraw(balance: float, amount: float) -> float:
    if amount <= 0:
        raise ValueError("amount must be positive")
    if amount > balance:
        raise ValueError(f"insufficient funds: {balance:.2f} < {amount:.2f}")
    return balance - amount


def must_lookup(table: dict[str, int], key: str) -> int:
    return table[key]


def safe_div(a: int, b: int) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        return 0.0


def int_or(text: str, default: int) -> int:
    try:
        return int(text)
    except ValueError:
        return default


def newton(x: float) -> float:
    guess = x / 2 or 1.0
    for _ in range(50):
        better = (guess + x / guess) / 2
        if abs(better - guess) < 1e-12:
            break
        guess = better
    else:
        return -1.0
    return guess


def csv_row(fields: list[str]) -> str:
    out = []
    for field in fields:
        if "," in field or '"' in field:
            out.append('"' + field.replace('"', '""') + '"')
        else:
            out.append(field)
    return ",".join(out)


def parse_header(line: str) -> tuple:
    name, found, value = line, "", ""
    at = line.find(":")
    if at >= 0:
        name, found, value = line[:at], ":", line[at + 1 :].strip()
    return name.strip().lower(), bool(found), value


def strip_tags(text: str) -> str:
    out, inside = [], False
    for ch in text:
        if ch == "<":
            inside = True
        elif ch == ">":
            inside = False
        elif not inside:
            out.append(ch)
    return "".join(out)


def ip_to_int(text: str) -> int:
    a, b, c, d = text.split(".")
    return (int(a) << 24) | (int(b) << 16) | (int(c) << 8) | int(d)


def rgb(color: str) -> tuple:
    color = color.lstrip("#")
    return int(color[0:2], 16), int(color[2:4], 16), int(color[4:6], 16)


def score(goals: int, assists: int, minutes: int, cards: int) -> float:
    points = goals * 4 + assists * 3 - cards
    return points / minutes * 90 if minutes > 0 else 0


def ranks(values: list[int]) -> list:
    ordered = sorted(values, reverse=True)
    return [ordered.index(v) + 1 for v in values]


def bucket(ms: float) -> str:
    if ms < 1:
        return f"{ms * 1000:.0f} us"
    if ms < 1000:
        return f"{ms:.2f} ms"
    return f"{ms / 1000:g} s"


def sign_text(x: float) -> str:
    return f"{x:+.3f} {x:08.2f} {x:,.1f} {x!r} {x}"


def int_text(n: int) -> str:
    return f"{n:,} {n:_} {n:b} {n:o} {n:X} {n:>10} {n:<10}| {n:^10} {n:010d} {n:+}"


def nearest(points: list[tuple[int, int]], x: int, y: int) -> int:
    best, at = -1, -1
    for i, (px, py) in enumerate(points):
        d = (px - x) ** 2 + (py - y) ** 2
        if best < 0 or d < best:
            best, at = d, i
    return at


def rounding(x: float, n: int) -> tuple:
    return round(x, 2), round(x, n), round(x)


def truth(x: int, y: str, z: float) -> list:
    return [x and y, x or z, not y, bool(z), x if z else y]


CALLS: list[Any] = [
    (parse_pairs, [("a=1&b=two=2&c",), ("",)]),
    (word_counts, [("The cat. The dog! the end?",), ("",)]),
    (run_lengths, [("aaabbc",), ("",)]),
    (encode_runs, [("aaabbc",), ("",)]),
    (wrap, [("the quick brown fox jumps over the lazy dog", 12)]),
    (camel_to_snake, [("camelCaseName",)]),
    (snake_to_camel, [("snake_case_name",)]),
    (hexdump, [([0, 255, 16, 7],)]),
    (parse_float, [("3.25",), ("-1e5", 2.0)]),
    (version_tuple, [("3.11.7",)]),
    (fnv, [("some text",), ("",)]),
    (to_base, [(255, 2), (-255, 16), (0, 7)]),
    (human_size, [(0,), (2048,), (5 * 1024**3,), (2**60,)]),
    (duration, [(3661,), (86400,)]),
    (gross, [(1234.5,)]),
    (order_total, [([9.99, 5.0], [3, 2], 0.1), ([], [])]),
    (split_bill, [(100.0, 3)]),
    (loan_rate, [(10000.0, 0.05, 36), (1200.0, 0.0, 12)]),
    (bar_chart, [([3, 0, 5],)]),
    (polygon_area, [([0.0, 4.0, 4.0], [0.0, 0.0, 3.0])]),
    (primes, [(50,)]),
    (factors, [(360,), (97,)]),
    (insertion, [([3.0, 1.5, 2.0],)]),
    (matmul, [([[1, 2], [3, 4]], [[5, 6], [7, 8]])]),
    (chunks, [([1, 2, 3, 4, 5], 2)]),
    (edit_distance, [("kitten", "sitting"), ("", "ab")]),
    (rpn, [("3 4 + 2 *",)]),
    (grade_all, [({"ann": 70.0, "bob": 40.5},)]),
    (status_line, [(3, 10), (0, 0, 5)]),
    (level, [(5,), (50,), (5000,)]),
    (join_names, [(["a", "b", "c"],), (["x"],), ([],)]),
    (describe, [(7,), (0,), (-4,), (5000,)]),
    (validate, [(30, "ann"), (200, " ")]),
    (withdraw, [(100.0, 30.0)]),
    (must_lookup, [({"a": 1}, "a")]),
    (safe_div, [(7, 2)]),
    (int_or, [("42", 0), (" -7 ", 1)]),
    (newton, [(2.0,), (1e10,)]),
    (csv_row, [(["plain", "a,b", 'say "hi"'],)]),
    (parse_header, [("Content-Type: text/html",), ("nothing",)]),
    (strip_tags, [("<b>bold</b> text",)]),
    (ip_to_int, [("192.168.0.1",)]),
    (rgb, [("#ff8800",)]),
    (score, [(2, 1, 75, 1), (0, 0, 0, 0)]),
    (ranks, [([30, 10, 20],)]),
    (bucket, [(0.5,), (12.345,), (2500.0,)]),
    (sign_text, [(1234.5678,), (-0.5,)]),
    (int_text, [(1234567,), (-255,)]),
    (nearest, [([(0, 0), (5, 5), (2, 1)], 3, 1)]),
    (rounding, [(2.675, 1), (-7.5, 2)]),
    (truth, [(0, "", 0.0), (3, "x", 1.5)]),
]
