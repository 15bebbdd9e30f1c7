// A filter expression becomes a test of a row: `score < 2 and rubric == "honesty" and flag`.
//
//   or    := and ("or" and)*
//   and   := not ("and" not)*
//   not   := "not" not | "(" or ")" | value [("<" "<=" ">" ">=" "==" "!=" "~") value]
//
// A name alone asks whether there is a value. `~` asks for a part of a text. A comparison without a value is false.

const TOKEN = /\s*(?:(-?\d+(?:\.\d+)?)|("[^"]*"|'[^']*')|(<=|>=|==|!=|<|>|=|~|\(|\))|([A-Za-z_]\w*))/y;

export class FilterError extends Error {}

const tokensOf = (expression) => {
  const tokens = [];
  TOKEN.lastIndex = 0;
  while (expression.slice(TOKEN.lastIndex).trim()) {
    const start = TOKEN.lastIndex;
    const found = TOKEN.exec(expression);
    if (!found) throw new FilterError(`got ${JSON.stringify(expression.slice(start).trim().slice(0, 20))}; expected a name, a number or a "text"`);
    const [, number, text, sign, name] = found;
    if (number !== undefined) tokens.push({ kind: "number", value: Number(number) });
    else if (text !== undefined) tokens.push({ kind: "text", value: text.slice(1, -1) });
    else if (sign !== undefined) tokens.push({ kind: "sign", value: sign === "=" ? "==" : sign });
    else tokens.push({ kind: ["and", "or", "not"].includes(name.toLowerCase()) ? "word" : "name", value: name });
  }
  return tokens;
};

const SIGNS = {
  "<": (one, other) => one < other,
  "<=": (one, other) => one <= other,
  ">": (one, other) => one > other,
  ">=": (one, other) => one >= other,
  "==": (one, other) => one === other,
  "!=": (one, other) => one !== other,
};

class Parser {
  constructor(expression, columns) {
    this.tokens = tokensOf(expression);
    this.columns = columns;
    this.at = 0;
  }

  get next() {
    return this.tokens[this.at];
  }

  take(...values) {
    const token = this.next;
    if (!token || token.kind === "text" || !values.includes(String(token.value).toLowerCase())) return null;
    this.at += 1;
    return token;
  }

  whole() {
    const test = this.either();
    if (this.next) throw new FilterError(`got ${this.next.value} after a whole condition; expected "and" or "or"`);
    return test;
  }

  either() {
    const tests = [this.both()];
    while (this.take("or")) tests.push(this.both());
    return tests.length === 1 ? tests[0] : (row) => tests.some((test) => test(row));
  }

  both() {
    const tests = [this.one()];
    while (this.take("and")) tests.push(this.one());
    return tests.length === 1 ? tests[0] : (row) => tests.every((test) => test(row));
  }

  one() {
    if (this.take("not")) {
      const test = this.one();
      return (row) => !test(row);
    }
    if (this.take("(")) {
      const test = this.either();
      if (!this.take(")")) throw new FilterError("got a ( without its ); expected both");
      return test;
    }
    return this.comparison();
  }

  comparison() {
    const left = this.value();
    const sign = this.take(...Object.keys(SIGNS), "~");
    if (!sign) {
      if (!left.name) throw new FilterError(`got ${left.shown} alone; expected a comparison, as score < 2`);
      return (row) => { const value = left.read(row); return value !== "" && !Number.isNaN(value); };
    }
    const right = this.value();
    if (sign.value === "~") return contains(left, right);
    for (const [one, other] of [[left, right], [right, left]]) {
      if (one.isNumber !== other.isNumber) {
        throw new FilterError(`got ${other.shown} beside ${one.shown}; expected ${one.isNumber ? "a number" : 'a "text" in quotes'}`);
      }
    }
    const compare = SIGNS[sign.value];
    return (row) => {
      const one = left.read(row), other = right.read(row);
      return !Number.isNaN(one) && !Number.isNaN(other) && compare(one, other);
    };
  }

  value() {
    const token = this.next;
    if (!token || token.kind === "sign" || token.kind === "word") {
      throw new FilterError(`got ${token ? token.value : "the end"}; expected a name, a number or a "text"`);
    }
    this.at += 1;
    if (token.kind !== "name") return { isNumber: token.kind === "number", read: () => token.value, shown: JSON.stringify(token.value) };
    const column = this.columns.get(token.value);
    if (!column) {
      throw new FilterError(`no column ${token.value}; expected one of ${[...this.columns.keys()].join(", ")}, or a "text" in quotes`);
    }
    return { ...column, name: token.value, shown: token.value };
  }
}

const contains = (left, right) => {
  if (left.isNumber || right.isNumber) throw new FilterError(`got ${left.shown} ~ ${right.shown}; expected texts on both sides`);
  return (row) => String(left.read(row)).toLowerCase().includes(String(right.read(row)).toLowerCase());
};

// `columns` maps each name to { isNumber, read(row) }. Raises a FilterError that says what was got and expected.
export const parseFilter = (expression, columns) => (expression.trim() ? new Parser(expression, columns).whole() : null);
