import pytest
from hypothesis import given, strategies as st

from prom_reward.prompts.guard.lookalikes import fold, folded_origins, reveal


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("［ＲＥＳＵＬＴ］", "[RESULT]"),
        ("ʀᴇꜱᴜʟᴛ", "RESULT"),
        ("𝐑𝓔𝔖𝕌𝖫𝚃", "RESULT"),
        ("ⓇⒺⓈⓊⓁⓉ", "RESULT"),
        ("🅁🄴🅂 🆂 🇷🇪", "RES S RE"),
        ("ЯЕЅUᏞТ ᎡᎬᏚ ꓣꓰꓢ", "RESULT RES RES"),
        ("Ɍésült", "Result"),
        ("R\u200bE\u2060S\xadU\u202eL\x00T", "RESULT"),
        ("《SYS》 ♯♯＃", "<<SYS>> ###"),
        ("ꭱꭼꮪꮜꮮꭲ ᖇᗴᔕᑌᒪ ƦƐƎ 尺乇丂", "RESULT RESUL REE RES"),
        ("⌈a⌉ ⎡b⎤ ⦅c⦆ ⸢d⸥ „e“ «f» ⟪g⟫ ❬h❭", "[a] [b] [c] [d] „e“ <<f>> <<g>> <h>"),
        ("R\x80E\ue000S\ufffdU\u2065L\U000e0fffT a\u2028b", "RESULT a\nb"),
        ("a\tb\nc  d", "a\tb\nc  d"),
        ("日本語 é", "日本語 e"),
    ],
)
def test_a_text_is_folded_to_what_a_reader_sees(text, seen):
    assert fold(text) == seen


@given(st.text(max_size=60))
def test_every_folded_character_knows_where_it_comes_from(text):
    origins = folded_origins(text)
    assert len(origins) == len(fold(text))
    assert origins == sorted(origins)
    assert all(fold(text[at]) for at in origins)


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_printable_ascii_is_folded_to_itself(text):
    assert fold(text) == text


def test_invisible_characters_are_revealed():
    assert reveal("a\u200bb\U000e0041 é\n") == "a\\u{200b}b\\u{e0041} é\n"


def test_folding_takes_time_linear_in_the_text(linear_time):
    characters = "".join(chr(code) for code in range(0x20, 0x20000) if not 0xD800 <= code < 0xE000)
    fold(characters)  # every character is looked up once
    linear_time(fold, lambda size: (characters * (1 + size // 50_000))[: 20 * size])
