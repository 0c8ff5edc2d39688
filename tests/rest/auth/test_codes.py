from __future__ import annotations

import re

from msgspec.structs import replace

from rest.auth.codes import CodeKey
from storage.ids import new_id
from storage.otp import Otp

KEY = CodeKey("a secret of one-time codes, for tests only")
OTP = Otp(new_id(), "+12025550123", "login", None)


def test_a_code_is_six_digits_and_the_same_each_time() -> None:
    assert re.fullmatch("[0-9]{6}", KEY.code_of(OTP))
    assert KEY.code_of(OTP) == KEY.code_of(OTP)
    assert KEY.matches(OTP, KEY.code_of(OTP))


def test_a_code_is_bound_to_everything_it_is_for() -> None:
    user_id = new_id()
    others = [
        CodeKey("another secret of one-time codes, for tests").code_of(OTP),
        *(
            KEY.code_of(replace(OTP, **change))
            for change in (
                {"id": new_id()},
                {"phone": "+12025550124"},
                {"purpose": "attach"},
                {"purpose": "attach", "user_id": user_id},
                {"purpose": "attach", "user_id": new_id()},
            )
        ),
    ]
    # Two of seven codes are the same by chance once in 50 000 runs.
    assert len({KEY.code_of(OTP), *others}) == 7


def test_codes_are_spread_over_all_digits() -> None:
    codes = [KEY.code_of(replace(OTP, id=new_id())) for _ in range(2_000)]
    assert all(len(code) == 6 for code in codes)
    for place in range(6):
        counts = [[code[place] for code in codes].count(digit) for digit in "0123456789"]
        # 200 each are expected; one in a million runs is outside.
        assert 120 < min(counts) <= max(counts) < 290


def test_what_is_not_the_code_does_not_match() -> None:
    code = KEY.code_of(OTP)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    assert not any(
        KEY.matches(OTP, given) for given in (wrong, "", code + "0", code[:5], "１２３４５６")
    )
