"""Strings as tasks handle them: names, messages, identifiers, small parsers."""

PREFIX = "user"
VOWELS = "aeiou"


def greeting(name: str) -> str:
    return f"Hello, {name}!"


def full_name(first: str, last: str) -> str:
    return first + " " + last


def initials(name: str) -> str:
    return "".join(part[0].upper() for part in name.split())


def slugify(title: str) -> str:
    out = []
    for char in title.lower():
        if char.isalnum():
            out.append(char)
        elif out and out[-1] != "-":
            out.append("-")
    return "".join(out).strip("-")


def snake_case(name: str) -> str:
    result = ""
    for i, char in enumerate(name):
        if char.isupper():
            if i > 0:
                result += "_"
            result += char.lower()
        else:
            result += char
    return result


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def is_palindrome(text: str) -> bool:
    cleaned = "".join(c for c in text.lower() if c.isalnum())
    return cleaned == cleaned[::-1]


def count_vowels(text: str) -> int:
    return sum(1 for char in text.lower() if char in VOWELS)


def word_count(text: str) -> int:
    return len(text.split())


def longest_word(text: str) -> str:
    longest = ""
    for word in text.split():
        if len(word) > len(longest):
            longest = word
    return longest


def truncate(text: str, length: int = 20) -> str:
    if len(text) <= length:
        return text
    return text[: length - 3] + "..."


def mask_email(email: str) -> str:
    user, domain = email.split("@")
    return user[0] + "*" * (len(user) - 1) + "@" + domain


def domain_of(email: str) -> str | None:
    at = email.find("@")
    if at < 0:
        return None
    return email[at + 1 :]


def is_valid_email(email: str) -> bool:
    if email.count("@") != 1:
        return False
    user, domain = email.split("@")
    return len(user) > 0 and "." in domain and not domain.startswith(".") and not domain.endswith(".")


def parse_bool(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")


def parse_version(version: str) -> tuple[int, int, int]:
    major, minor, patch = version.split(".")
    return int(major), int(minor), int(patch)


def parse_duration(text: str) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    total = 0
    number = ""
    for char in text:
        if char.isdigit():
            number += char
        elif char in units:
            total += int(number) * units[char]
            number = ""
        else:
            raise ValueError(f"bad duration {text!r}")
    return total


def caesar(text: str, shift: int) -> str:
    result = []
    for char in text:
        if char.isalpha() and char.isupper():
            result.append(chr((ord(char) - 65 + shift) % 26 + 65))
        elif char.isalpha():
            result.append(chr((ord(char) - 97 + shift) % 26 + 97))
        else:
            result.append(char)
    return "".join(result)


def run_length(text: str) -> str:
    if not text:
        return ""
    out = []
    count = 1
    for i in range(1, len(text)):
        if text[i] == text[i - 1]:
            count += 1
        else:
            out.append(f"{text[i - 1]}{count}")
            count = 1
    out.append(f"{text[-1]}{count}")
    return "".join(out)


def char_frequency(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for char in text:
        counts[char] = counts.get(char, 0) + 1
    return counts


def word_frequency(text: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.lower().split():
        if word in counts:
            counts[word] += 1
        else:
            counts[word] = 1
    return counts


def levenshtein(a: str, b: str) -> int:
    previous = list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        current = [i]
        for j in range(1, len(b) + 1):
            cost = 0 if a[i - 1] == b[j - 1] else 1
            current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost))
        previous = current
    return previous[-1]


def hamming(a: str, b: str) -> int:
    return sum(1 for x, y in zip(a, b) if x != y)


def djb2(text: str) -> int:
    value = 5381
    for char in text:
        value = (value * 33 + ord(char)) & 0xFFFFFFFF
    return value


def adler32(text: str) -> int:
    a, b = 1, 0
    for char in text:
        a = (a + ord(char)) % 65521
        b = (b + a) % 65521
    return (b << 16) | a


def to_binary(n: int) -> str:
    if n == 0:
        return "0"
    digits = ""
    while n > 0:
        digits = str(n % 2) + digits
        n //= 2
    return digits


def to_base36(n: int) -> str:
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
    out = ""
    while True:
        n, digit = divmod(n, 36)
        out = alphabet[digit] + out
        if n == 0:
            return out


def roman(n: int) -> str:
    values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1]
    symbols = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"]
    result = ""
    for value, symbol in zip(values, symbols):
        while n >= value:
            result += symbol
            n -= value
    return result


def invoice_line(item: str, quantity: int, price: float) -> str:
    return f"{item:<20}{quantity:>5d}{price:>10.2f}{quantity * price:>12.2f}"


def format_bytes(size: int) -> str:
    value = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def format_time(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def cache_key(kind: str, ident: int) -> str:
    return f"{PREFIX}:{kind}:{ident}"


def csv_line(values: list[str]) -> str:
    return ",".join(values)


def csv_quote(value: str) -> str:
    if "," in value or '"' in value:
        return '"' + value.replace('"', '""') + '"'
    return value


def html_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def strip_comment(line: str) -> str:
    at = line.find("#")
    return line.rstrip() if at < 0 else line[:at].rstrip()


def key_value(line: str) -> tuple[str, str]:
    parts = line.split("=", 1)
    return parts[0].strip(), parts[1].strip()


def query_string(text: str) -> dict[str, str]:
    result = {}
    for pair in text.split("&"):
        name, value = pair.split("=")
        result[name] = value
    return result


def balanced(text: str) -> bool:
    depth = 0
    for char in text:
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0


def brackets(text: str) -> bool:
    pairs = {")": "(", "]": "[", "}": "{"}
    stack = []
    for char in text:
        if char in "([{":
            stack.append(char)
        elif char in pairs:
            if not stack or stack.pop() != pairs[char]:
                return False
    return not stack


def evaluate_rpn(expression: str) -> int:
    stack: list[int] = []
    for token in expression.split():
        if token == "+":
            stack.append(stack.pop() + stack.pop())
        elif token == "*":
            stack.append(stack.pop() * stack.pop())
        else:
            stack.append(int(token))
    return stack.pop()


def anagram(a: str, b: str) -> bool:
    return sorted(a.lower()) == sorted(b.lower())


def common_prefix(a: str, b: str) -> str:
    n = 0
    while n < len(a) and n < len(b) and a[n] == b[n]:
        n += 1
    return a[:n]


def extension(path: str) -> str:
    at = path.rfind(".")
    return path[at + 1 :].lower() if at >= 0 else ""


def password_strength(password: str) -> int:
    score = 0
    if len(password) >= 8:
        score += 1
    if any(c.isdigit() for c in password):
        score += 1
    if any(c.isupper() for c in password) and any(c.islower() for c in password):
        score += 1
    if not all(c.isalnum() for c in password):
        score += 1
    return score


def center_line(text: str, width: int) -> str:
    return f"{text:^{width}}"


def pad_number(n: int) -> str:
    return str(n).zfill(6)


def title_of(text: str) -> str:
    return text.strip().capitalize()


def hex_color(r: int, g: int, b: int) -> str:
    return f"#{r:02x}{g:02x}{b:02x}"


def pig_latin(word: str) -> str:
    if word[0] in "aeiou":
        return word + "way"
    return word[1:] + word[0] + "ay"


def log_line(level: str, message: str) -> None:
    print(f"[{level}] {message}")


def notify(user_id: int, message: str) -> dict:
    print(f"Sending to user {user_id}: {message}")
    return {"status": "sent", "user_id": user_id}


CALLS = [
    (greeting, [("Ada",), ("Zoë",), ("",)]),
    (full_name, [("Ada", "Lovelace")]),
    (initials, [("ada lovelace king",)]),
    (slugify, [("Hello, World! 42",)]),
    (snake_case, [("someCamelName",)]),
    (camel_case, [("some_snake_name",)]),
    (is_palindrome, [("A man, a plan, a canal: Panama",), ("no",)]),
    (count_vowels, [("Education",)]),
    (word_count, [("the quick brown fox",), ("",)]),
    (longest_word, [("the quick brownish fox",)]),
    (truncate, [("short",), ("a much longer text than that", 10)]),
    (mask_email, [("someone@example.org",)]),
    (domain_of, [("a@b.org",), ("none",)]),
    (is_valid_email, [("a@b.org",), ("ab.org",), ("a@.org",)]),
    (parse_bool, [(" Yes ",), ("no",)]),
    (parse_version, [("3.11.7",)]),
    (parse_duration, [("1h30m",), ("45s",)]),
    (caesar, [("Hello, World", 3)]),
    (run_length, [("aaabbc",), ("",)]),
    (char_frequency, [("mississippi",)]),
    (word_frequency, [("the cat and the dog and the bird " * 3,)]),
    (levenshtein, [("kitten", "sitting")]),
    (hamming, [("karolin", "kathrin")]),
    (djb2, [("hello",)]),
    (adler32, [("Wikipedia",)]),
    (to_binary, [(10,), (0,)]),
    (to_base36, [(123456789,)]),
    (roman, [(1994,)]),
    (invoice_line, [("Widget", 3, 9.99)]),
    (format_bytes, [(512,), (1536000,), (5 * 1024**4,)]),
    (format_time, [(3725,)]),
    (cache_key, [("profile", 7)]),
    (csv_line, [(["a", "b", "c"],)]),
    (csv_quote, [("plain",), ('with, and "',)]),
    (html_escape, [("<a href='x'>&</a>",)]),
    (strip_comment, [("x = 1  # one",), ("y = 2  ",)]),
    (key_value, [("name = value = more",)]),
    (query_string, [("a=1&b=2&c=3",)]),
    (balanced, [("(a(b)c)",), ("())(",)]),
    (brackets, [("{[()]}",), ("{[(])}",)]),
    (evaluate_rpn, [("3 4 + 2 *",)]),
    (anagram, [("Listen", "Silent"), ("a", "b")]),
    (common_prefix, [("interview", "internet")]),
    (extension, [("photo.JPG",), ("none",)]),
    (password_strength, [("Secret123!",), ("abc",)]),
    (center_line, [("hi", 10)]),
    (pad_number, [(42,), (-7,)]),
    (title_of, [("  hello WORLD ",)]),
    (hex_color, [(255, 0, 128)]),
    (pig_latin, [("apple",), ("banana",)]),
    (log_line, [("INFO", "started")]),
    (notify, [(7, "welcome")]),
]
