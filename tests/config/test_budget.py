import pytest

from colabel.config.budget import Budget, parse_budget
from colabel.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("20m", Budget(minutes=20), "20 minutes"),
        ("90s", Budget(minutes=1.5), "90 seconds"),
        ("1h30m", Budget(minutes=90), "90 minutes"),
        (" 2 hours ", Budget(minutes=120), "2 hours"),
        ("0.5h", Budget(minutes=30), "30 minutes"),
        ("1H 10S", Budget(minutes=60 + 1 / 6), "60.2 minutes"),
        ("3epochs", Budget(epochs=3), "3 epochs"),
        ("1 epoch", Budget(epochs=1), "1 epoch"),
    ],
)
def test_budgets_as_people_write_them(text, expected, words):
    budget = parse_budget(text)
    assert (budget.minutes, budget.epochs) == pytest.approx((expected.minutes, expected.epochs))
    assert str(budget) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "m",
        "-5m",
        "20x",
        "20m3epochs",
        "3epochs20m",
        "1h2x",
        "five minutes",
        "1e3m",
    ],
)
def test_other_words_are_refused(text):
    with pytest.raises(ConfigError, match="expected a budget such as 20m"):
        parse_budget(text)


@pytest.mark.parametrize(
    "text", ["0epochs", "1.5epochs", "99999999999epochs", f"{'9' * 5000}epochs"]
)
def test_a_number_of_epochs_is_whole_and_above_zero(text):
    with pytest.raises(ConfigError, match="whole number of epochs"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["0m", "0.0s", "99999999h"])
def test_a_time_has_to_be_one(text):
    with pytest.raises(ConfigError, match="a time above 0"):
        parse_budget(text)
