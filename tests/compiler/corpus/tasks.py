"""Whole tasks: a few decisions, a loop, a message, a dict with the outcome."""

import math

RATES = (0.0, 0.05, 0.12)
STATUS_OK = "ok"
MAX_ATTEMPTS = 5


def price_order(quantity: int, unit_price: float, member: bool = False) -> dict:
    subtotal = quantity * unit_price
    discount = 0.1 if member and quantity > 5 else 0.0
    total = subtotal * (1 - discount)
    return {"subtotal": subtotal, "discount": discount, "total": round(total, 2)}


def order_status(paid: bool, shipped: bool, cancelled: bool) -> str:
    if cancelled:
        return "cancelled"
    if shipped and paid:
        return "complete"
    return "paid" if paid else "open"


def summarize(values: list[float]) -> dict:
    if not values:
        return {"count": 0, "mean": None, "max": None}
    return {"count": len(values), "mean": sum(values) / len(values), "max": max(values)}


def validate_user(name: str, age: int) -> dict:
    errors = []
    if not name.strip():
        errors.append("name is empty")
    if age < 0 or age > 150:
        errors.append(f"age {age} is not plausible")
    return {"valid": len(errors) == 0, "errors": errors}


def risk_score(age: int, income: float, debts: float) -> int:
    score = 100
    if age < 25:
        score -= 15
    ratio = debts / income if income > 0 else 1.0
    if ratio > 0.5:
        score -= 40
    elif ratio > 0.2:
        score -= 20
    return max(score, 0)


def schedule(start: int, every: int, count: int) -> list[int]:
    times = []
    at = start
    while len(times) < count:
        times.append(at)
        at += every
    return times


def progress(done: int, total: int) -> str:
    share = done / total if total else 0.0
    filled = int(share * 20)
    return "[" + "#" * filled + "." * (20 - filled) + f"] {share:.0%}"


def send_welcome(name: str, credits: int) -> bool:
    print("Welcome,", name)
    print("You have", credits, "credits", sep=" ", end="!\n")
    return True


def report(title: str, rows: int, seconds: float) -> str:
    rate = rows / seconds if seconds else 0.0
    return f"{title}: {rows:,} rows in {seconds:.3f} s ({rate:,.1f}/s)"


def tax(income: float) -> float:
    brackets = [(10000.0, 0.0), (30000.0, 0.2), (80000.0, 0.35)]
    owed = 0.0
    lower = 0.0
    for upper, rate in brackets:
        if income <= lower:
            break
        owed += (min(income, upper) - lower) * rate
        lower = upper
    if income > lower:
        owed += (income - lower) * 0.45
    return owed


def retry_plan(attempts: int) -> list[float]:
    return [min(30.0, 0.5 * 2**n) for n in range(min(attempts, MAX_ATTEMPTS))]


def parse_row(line: str) -> dict | None:
    parts = line.split(";")
    if len(parts) != 3:
        return None
    return {"name": parts[0].strip(), "count": int(parts[1]), "price": float(parts[2])}


def parse_rows(text: str) -> list[dict]:
    rows = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, value = line.split(":")
        rows.append({"name": name.strip(), "value": int(value)})
    return rows


def to_int_or_zero(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def ratio_or_none(a: float, b: float) -> float | None:
    try:
        result = a / b
    except ZeroDivisionError:
        return None
    else:
        return result


def shortest_path(weights: list[list[int]], start: int) -> list[int]:
    n = len(weights)
    distance = [10**9] * n
    distance[start] = 0
    done = [False] * n
    for _ in range(n):
        best = -1
        for i in range(n):
            if not done[i] and (best < 0 or distance[i] < distance[best]):
                best = i
        done[best] = True
        for j in range(n):
            if weights[best][j] > 0 and distance[best] + weights[best][j] < distance[j]:
                distance[j] = distance[best] + weights[best][j]
    return distance


def nqueens(n: int) -> int:
    return place(n, 0, 0, 0, 0)


def place(n: int, row: int, columns: int, left: int, right: int) -> int:
    if row == n:
        return 1
    count = 0
    for column in range(n):
        bit = 1 << column
        a, b = 1 << (row + column), 1 << (row - column + n)
        if not (columns & bit or left & a or right & b):
            count += place(n, row + 1, columns | bit, left | a, right | b)
    return count


def grade(points: int) -> str:
    for limit, letter in ((90, "A"), (80, "B"), (70, "C")):
        if points >= limit:
            return letter
    return "F"


def temperature_alerts(readings: list[float], limit: float) -> list[str]:
    alerts = []
    for hour, value in enumerate(readings):
        if value > limit:
            alerts.append(f"{hour:02d}:00 {value:.1f}")
    return alerts


def bank_balance(transactions: list[float], opening: float = 0.0) -> tuple[float, int]:
    balance, overdrafts = opening, 0
    for amount in transactions:
        balance += amount
        if balance < 0:
            overdrafts += 1
    return balance, overdrafts


def event(kind: str, user: int, ok: bool) -> dict:
    return {"kind": kind, "user": user, "ok": ok, "status": STATUS_OK, "tags": ["a", "b"], "where": (1, 2.5)}


def thumbnail_size(width: int, height: int, most: int = 200) -> tuple[int, int]:
    scale = min(most / width, most / height, 1.0)
    return round(width * scale), round(height * scale)


def orbit(steps: int) -> tuple[float, float]:
    x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
    for _ in range(steps):
        r3 = math.pow(x * x + y * y, 1.5)
        vx -= 0.01 * x / r3
        vy -= 0.01 * y / r3
        x += 0.01 * vx
        y += 0.01 * vy
    return x, y


def luhn(number: str) -> bool:
    total = 0
    for i, char in enumerate(reversed(number)):
        digit = int(char)
        if i % 2 == 1:
            digit *= 2
            if digit > 9:
                digit -= 9
        total += digit
    return total % 10 == 0


CALLS = [
    (price_order, [(10, 2.5, True), (1, 9.99)]),
    (order_status, [(True, True, False), (False, False, True), (True, False, False)]),
    (summarize, [([1.0, 2.0],), ([],)]),
    (validate_user, [("Ann", 30), (" ", 200)]),
    (risk_score, [(20, 1000.0, 600.0), (40, 5000.0, 100.0)]),
    (schedule, [(100, 15, 4)]),
    (progress, [(3, 10), (0, 0)]),
    (send_welcome, [("Ann", 5)]),
    (report, [("import", 1234567, 12.5)]),
    (tax, [(5000.0,), (55000.0,), (200000.0,)]),
    (retry_plan, [(3,), (9,)]),
    (parse_row, [("tea; 3; 2.50",), ("broken",)]),
    (parse_rows, [("# head\na: 1\n\nb: 22\n",)]),
    (to_int_or_zero, [("12",), (" 7 ",)]),
    (ratio_or_none, [(1.0, 4.0)]),
    (shortest_path, [([[0, 4, 1], [4, 0, 2], [1, 2, 0]], 0)]),
    (nqueens, [(5,)]),
    (place, [(4, 0, 0, 0, 0)]),
    (grade, [(95,), (85,), (10,)]),
    (temperature_alerts, [([20.5, 31.25, 29.0, 35.0], 30.0)]),
    (bank_balance, [([100.0, -150.0, 20.0],), ([5.0], 10.0)]),
    (event, [("login", 7, True)]),
    (thumbnail_size, [(1920, 1080), (100, 50)]),
    (orbit, [(100,)]),
    (luhn, [("4539578763621486",), ("1234",)]),
]
