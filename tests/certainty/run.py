"""Every pair of stations in every contest, and as many drawn nights as asked for, of seats, of several votes and of questions
too; the long form of the tests.

python -m tests.certainty.run [--drawn N] [--questions N] [--seed S] [--pairs-one-in K]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import chain, islice

from tests.certainty.checking import Broken, Count, checked
from tests.certainty.nights import all_cases, some_cases, some_cases_of_seats, some_cases_of_several_votes
from tests.certainty.questions import checked as checked_question
from tests.certainty.questions import some_questions


def main() -> int:
    parser = argparse.ArgumentParser(description="No completion of a small night breaks what was said to be certain.")
    parser.add_argument("--drawn", type=int, default=20_000)
    parser.add_argument("--questions", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs-one-in", type=int, default=1)
    asked = parser.parse_args()
    count: Count = Counter()
    nights = 0
    pairs = islice(all_cases(), asked.seed % asked.pairs_one_in, None, asked.pairs_one_in)
    try:
        drawn = [draw(asked.drawn, asked.seed) for draw in (some_cases, some_cases_of_seats, some_cases_of_several_votes)]
        for case in chain(*drawn, pairs):
            nights += 1
            count += checked(case)
        for question in some_questions(asked.questions, asked.seed):
            nights += 1
            count += checked_question(question)
    except Broken as broken:
        print(broken)
        return 1
    print(f"{nights:,} small nights: " + ", ".join(f"{n:,} {what}" for what, n in sorted(count.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
