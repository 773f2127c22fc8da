#!/usr/bin/env python3
"""Writes vrr_table.csv and minimum_mantissa_table.csv: the variance retention ratio in 30 digits.

An evaluation that shares nothing with models/theory: the sums of Sakr et al. (arXiv 1901.06588), Lemma 1 and
Theorem 1, term by term up to 2^14 terms, by the Euler-Maclaurin formula beyond (`--check` compares the two).
Needs mpmath. Takes a few minutes: python3 tests/theory/vrr_table.py
"""

import argparse
import csv
import pathlib

import mpmath
from mpmath import mp, mpf

mp.dps = 30
DIRECT = 1 << 14
FOLDER = pathlib.Path(__file__).parent


def two_q(x):
    return mpmath.erfc(x / mpmath.sqrt(2))


def q(m, i):
    i = mpf(i)
    return two_q(mpf(2) ** m / mpmath.sqrt(i)) * (1 - two_q(mpf(2) ** m / mpmath.sqrt(i - 1)))


def add_directly(m, weight, first, last):
    """sum of q_i and of weight(i) q_i, i = first .. last."""
    terms = [q(m, i) for i in range(first, last + 1)]
    return mpmath.fsum(terms), mpmath.fdot((weight(i), term) for i, term in enumerate(terms, first))


def add_by_euler_maclaurin(m, weight, first, last):
    """The same: the first 2048 terms one by one, the rest as an integral with end corrections."""
    start = min(first + 2048, last)
    edges = [mpf(start)]
    while edges[-1] * mpf("1.25") < last:
        edges.append(edges[-1] * mpf("1.25"))
    edges.append(mpf(last))
    sums = []
    terms = (lambda i: q(m, i), lambda i: weight(i) * q(m, i))
    for head, term in zip(add_directly(m, weight, first, start - 1), terms):
        scale = term(mpf(last))  # quad's tolerance is absolute
        total = head + scale * mpmath.quad(lambda i: term(i) / scale, edges, method="gauss-legendre", maxdegree=6)
        total += (term(start) + term(last)) / 2
        for k in range(1, 5):
            slope = mpmath.diff(term, last, 2 * k - 1) - mpmath.diff(term, start, 2 * k - 1)
            total += mpmath.bernoulli(2 * k) / mpmath.factorial(2 * k) * slope
        sums.append(total)
    return sums


def add(m, weight, first, last, directly=None):
    if last < first:
        return mpf(0), mpf(0)
    if directly if directly is not None else last - first <= DIRECT:
        return add_directly(m, weight, first, last)
    return add_by_euler_maclaurin(m, weight, first, last)


def full_swamping_loss(m, n):
    k, lost = add(m, lambda i: n - i, 2, n - 1)
    k += 1 - two_q(mpf(2) ** m / mpmath.sqrt(n))
    return lost / (k * n)


def alpha(m, mp_, stage):
    squares = sum(2**j * (2**j - 1) * (2 ** (j + 1) - 1) for j in range(1, stage)) // 3  # exact: i > alpha is a step
    return mpf(2) ** (m - 3 * mp_) * squares


def loss(m, mp_, n, directly=None):
    a = alpha(m, mp_, mp_ + 1)
    first = max(2, int(mpmath.floor(a)) + 1)
    k, lost = add(m, lambda i: n - i + a, first, n - 1, directly)
    root = mpmath.sqrt(n)
    for stage in range(2, mp_ + 1):
        aj = alpha(m, mp_, stage)
        if n > aj:
            reach = mpf(2) ** (m - mp_ + stage)
            share = reach * two_q(reach / 2 / root) * (1 - two_q(reach / root))
            k += share
            lost += aj * share
    k += 1 - two_q(mpf(2) ** (m - mp_ + 1) / root)
    return lost / (k * n)


def chunked_loss(m, mp_, n, n1):
    bits = (n1 - 1).bit_length()
    first = loss(m, mp_, n1)
    second = loss(m, min(m, mp_ + bits), max(2, -(-n // n1)))
    return 1 - (1 - first) * (1 - second)


def grid():
    """Rows (m, m_p, n, n1): n1 = 0 sequential; m_p = -1 full swamping only."""
    for m_p in (-1, 2, 3, 5, 7, 10):
        for log_n in (1, 4, 6, 9, 12, 14):
            for m in (max(m_p, 1), max(m_p, 3) + 2, max(m_p, 3) + 6):
                yield m, m_p, 2**log_n, 0
    for m, m_p, n in ((5, 5, 27), (7, 5, 1000), (9, 3, 12345), (6, 6, 999), (23, 20, 10**5), (12, 1, 77777)):
        yield m, m_p, n, 0
    for log_n in (17, 20, 24, 30, 36, 40):
        for m in (5, log_n // 2 - 4, log_n // 2, log_n // 2 + 2):
            for m_p in (-1, 5) if m >= 5 else (3,):
                yield m, m_p, 2**log_n, 0
    for m, m_p, n, n1 in ((5, 5, 4096, 64), (6, 5, 802816, 64), (8, 5, 2**20, 64), (9, 7, 2**20, 100),
                          (10, 5, 3211264, 1024), (12, 10, 2**30, 2**15), (6, 2, 1000, 7), (14, 5, 2**40, 2**20)):
        yield m, m_p, n, n1


def smallest_mantissa(m_p, n):
    m = m_p
    while n * loss(m, m_p, n) >= mpmath.log(50):
        m += 1
    return m


def write(path, header, rows):
    with open(FOLDER / path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            print(*row, flush=True)
            writer.writerow(row)


def table_rows():
    for m, m_p, n, n1 in grid():
        if m_p < 0:
            value = full_swamping_loss(m, n)
        else:
            value = chunked_loss(m, m_p, n, n1) if n1 else loss(m, m_p, n)
        if value > mpf("1e-290"):  # what a double holds with all its bits
            yield m, m_p, n, n1, mpmath.nstr(value, 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare Euler-Maclaurin with plain sums")
    if parser.parse_args().check:
        for m, m_p in ((5, 5), (7, 5), (9, 3)):
            plain, fast = loss(m, m_p, DIRECT, True), loss(m, m_p, DIRECT, False)
            print(m, m_p, mpmath.nstr(plain, 20), mpmath.nstr(abs(fast / plain - 1), 3))
        return
    lengths = [(m_p, 2**e) for m_p in (5, 3, 8) for e in range(6, 21)]
    write("minimum_mantissa_table.csv", ("product_mantissa", "length", "minimum_mantissa"),
          ((m_p, n, smallest_mantissa(m_p, n)) for m_p, n in lengths))
    write("vrr_table.csv", ("accumulator_mantissa", "product_mantissa", "length", "chunk", "one_minus_vrr"),
          table_rows())


if __name__ == "__main__":
    main()
