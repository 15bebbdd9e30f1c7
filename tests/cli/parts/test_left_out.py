from prom_reward.cli.parts.left_out import show_left_out, show_problems


def test_rows_with_one_problem_are_one_line(capsys):
    show_left_out(["line 1: no response", "line 2: got 7: expected a text", "line 4: no response"])
    assert capsys.readouterr().err == (
        "line 1, line 4: no response; left out\nline 2: got 7: expected a text; left out\n"
    )


def test_the_first_three_places_are_named_and_the_others_counted(capsys):
    show_problems([f"line {number}: empty" for number in range(1, 1_006)], "would be left out")
    assert capsys.readouterr().err == "line 1, line 2, line 3 and 1,002 more: empty; would be left out\n"


def test_after_the_first_problems_the_rows_are_counted(capsys):
    show_left_out([*(f"line {number}: empty" for number in range(3)), "line 8: a", "line 9: a", "line 10: b"], shown=1)
    assert capsys.readouterr().err == (
        "line 0, line 1, line 2: empty; left out\n... and 3 more rows left out, 6 in all\n"
    )


def test_a_problem_without_a_place_stands_alone(capsys):
    show_left_out(["nothing to read"])
    assert capsys.readouterr().err == "nothing to read; left out\n"
