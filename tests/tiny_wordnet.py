"""A WordNet of a hundred invented nouns in its own file format."""

_ROOT = 10000000


def noun_line(offset, words, gloss, *, hypernym, pointer="@"):
    lemmas = " ".join(f"{word} 0" for word in words)
    entry = f"{offset} 03 n {len(words):02x} {lemmas} 001 {pointer} {hypernym} n 0000"
    return f'{entry} | {gloss}; "some people saw the {words[0]} once"; "an example of it"  '


def write_wordnet(folder):
    lines = ["  1 This line is the license's."]
    for number in range(100):
        name = "".join(chr(97 + int(digit)) for digit in f"{number:03d}")
        gloss = f"a small {name}ish thing that people keep near the {name}water"
        words = [f"x{name}", f"{name}_two"] if number % 3 else [f"x{name}"]
        lines.append(noun_line(_ROOT + number, words, gloss, hypernym=20000000 + number // 10))
    lines.append(noun_line(30000000, ["Proper_Name"], "a person with capital letters in the name", hypernym=20000000))
    for number in range(40):
        name = f"{chr(65 + number % 26)}{chr(97 + number // 26)}land"
        capital = (f"{name}ville", f"capital of {name}; a city by the sea")
        person = (
            f"Ann_{name}",
            f"{('French', 'Dutch', 'Greek')[number % 3]} {('poet', 'painter')[number % 2]} (1800-1870)",
        )
        for at, (word, gloss) in enumerate((capital, person)):
            lines.append(noun_line(40000000 + 2 * number + at, [word], gloss, hypernym=50000000, pointer="@i"))
    (folder / "data.noun").write_text("\n".join(lines), encoding="utf-8")
    return folder
