"""From the words of a selector to its condition."""

from __future__ import annotations

from typing import Final

from stompserver.broker.selectors.comparison import Operand, between, compared, like, within
from stompserver.broker.selectors.condition import (
    AT_LEAST,
    AT_MOST,
    EQUAL,
    GREATER,
    LESS,
    UNEQUAL,
    And,
    IsNull,
    Not,
    Or,
)
from stompserver.broker.selectors.like import Pattern
from stompserver.broker.selectors.node import (
    BOOLEAN,
    NULL,
    NUMBER,
    TEXT,
    Arithmetic,
    Constant,
    Moment,
    Negative,
    Node,
    folded,
    identifier,
)
from stompserver.broker.selectors.number import MINUS, MODULO, OVER, PLUS, TIMES
from stompserver.broker.selectors.tokens import END, NAME, STRING, SYMBOL, WORD, Token, fault, scan
from stompserver.broker.selectors.tokens import NUMBER as DIGITS
from stompserver.errors import ProtocolError

DEEPEST: Final = 100
"""Parentheses in each other; each is a few calls deep when parsed and when evaluated."""

PATTERNS: Final = 2000
"""Characters of all LIKE patterns together: with the length of a header they bound the steps of a match."""

_COMPARISONS: Final = {
    "=": EQUAL,
    "<>": UNEQUAL,
    "<": LESS,
    "<=": AT_MOST,
    ">": GREATER,
    ">=": AT_LEAST,
}
_SUMS: Final = {"+": PLUS, "-": MINUS}
_PRODUCTS: Final = {"*": TIMES, "/": OVER, "%": MODULO}
_PREDICATES: Final = frozenset(("IS", "NOT", "LIKE", "IN", "BETWEEN"))
_VALUE: Final = "a header's name, a string, a number, TRUE, FALSE, NULL or ("


def parse(source: str, at: int) -> tuple[Node, int, bool]:
    """The condition that begins at offset ``at`` of ``source``, what it costs as Selector says it, and whether it
    asks when messages came. Raises ProtocolError.
    """
    parser = _Parser(source, scan(source, at))
    operand = parser.condition()
    if parser.token.kind != END:
        raise parser.expected("AND, OR or the end" if operand.node.kind == BOOLEAN else "a comparison")
    return operand.need_condition(), parser.cost, parser.dated


class _Parser:
    """Recursive descent with a level of calls for each parenthesis, and none for chains of operators."""

    __slots__ = ("cost", "dated", "depth", "index", "patterns", "source", "token", "tokens")

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self.source: str = source
        self.tokens: list[Token] = tokens
        self.index: int = 0
        self.token: Token = tokens[0]
        self.cost: int = 0
        self.dated = False
        self.depth: int = 0
        self.patterns: int = 0

    def advance(self) -> Token:
        """The token here; the one behind it is looked at next."""
        token = self.token
        if token.kind != END:
            self.index += 1
            self.token = self.tokens[self.index]
        return token

    def following(self) -> Token:
        """The token behind the one here."""
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    def has(self, kind: int, text: str) -> bool:
        """Whether this token is here; then it is passed."""
        token = self.token
        if token.kind != kind or token.text != text:
            return False
        self.advance()
        return True

    def need(self, kind: int, text: str) -> None:
        """Pass this token."""
        if not self.has(kind, text):
            raise self.expected(text)

    def expected(self, what: str) -> ProtocolError:
        """The error of the token here."""
        token = self.token
        fix = f"Write {what} here."
        if token.kind == END:
            return fault(self.source, token.at, f"it ends where {what} was expected", fix)
        found = ascii(self.source[token.at : min(token.end, token.at + 40)])
        if token.kind == WORD:
            fix += f" A header named {token.text} goes in back quotes."
        return fault(self.source, token.at, f"{what} was expected, not {found}", fix)

    def condition(self) -> Operand:
        """OR of AND of NOT of predicates; or one value, which may be in front of an operator."""
        start = self.token.at
        choices: list[Node] = []
        terms: list[Node] = []
        while True:
            negated = False
            plain = True
            while self.has(WORD, "NOT"):
                negated = not negated
                plain = False
            operand = self.predicate()
            if self.has(WORD, "AND"):
                more = 1
            elif self.has(WORD, "OR"):
                more = 2
            else:
                more = 0
                if plain and not terms and not choices:
                    return operand
            node = operand.need_condition()
            terms.append(folded(Not(node)) if negated else node)
            if more != 1:
                choices.append(terms[0] if len(terms) == 1 else folded(And(terms)))
                terms = []
            if more == 0:
                return Operand(self.source, start, choices[0] if len(choices) == 1 else folded(Or(choices)))

    def predicate(self) -> Operand:
        """A value, alone or with one comparison."""
        left = self.sum()
        token = self.token
        operator = _COMPARISONS.get(token.text) if token.kind == SYMBOL else None
        if operator is not None:
            self.advance()
            node = compared(operator, left, self.sum())
        elif token.kind == WORD and token.text in _PREDICATES:
            node = self.worded(left)
        else:
            return left
        token = self.token
        if (token.kind == SYMBOL and token.text in _COMPARISONS) or (
            token.kind == WORD and token.text in _PREDICATES
        ):
            raise fault(
                self.source,
                token.at,
                "a comparison directly behind another one",
                "Join comparisons by AND or OR, or put the first one in parentheses.",
            )
        return Operand(self.source, left.at, node)

    def worded(self, left: Operand) -> Node:
        """IS NULL, LIKE, IN and BETWEEN, and each with NOT."""
        if self.has(WORD, "IS"):
            negated = self.has(WORD, "NOT")
            if not self.has(WORD, "NULL"):
                raise self.expected("NULL" if negated else "NULL or NOT NULL")
            node = folded(IsNull(left.node))
            return folded(Not(node)) if negated else node
        negated = self.has(WORD, "NOT")
        if self.has(WORD, "LIKE"):
            return like(left, self.pattern(left.node), negated)
        if self.has(WORD, "IN"):
            return within(left, self.choices(), negated)
        if self.has(WORD, "BETWEEN"):
            low = self.sum()
            self.need(WORD, "AND")
            return between(left, low, self.sum(), negated)
        raise self.expected("LIKE, IN or BETWEEN")

    def pattern(self, node: Node) -> Pattern:
        """What stands behind LIKE, compared with ``node``."""
        token = self.token
        if token.kind != STRING:
            raise self.expected("a pattern in quotes")
        self.advance()
        self.patterns += len(token.text)
        if self.patterns > PATTERNS:
            raise fault(
                self.source,
                token.at,
                f"its LIKE patterns have more than {PATTERNS} characters together",
                "Use shorter patterns.",
            )
        escape = ""
        if self.has(WORD, "ESCAPE"):
            if self.token.kind != STRING or len(self.token.text) != 1:
                raise self.expected("one character in quotes")
            escape = self.advance().text
        try:
            # An escape character of / is none in queue://, so that such a pattern stays as it is.
            text = node.written(token.text) if escape != "/" else token.text
            pattern = Pattern(text, escape)
            self.cost += pattern.cost
            return pattern
        except ValueError:
            raise fault(
                self.source,
                token.at,
                "a pattern that ends with its escape character",
                "Write the character twice where it stands for itself.",
            ) from None

    def choices(self) -> list[Operand]:
        """What stands behind IN."""
        self.need(SYMBOL, "(")
        found: list[Operand] = []
        while True:
            token = self.token
            if not (
                token.kind == STRING
                or token.kind == DIGITS
                or (token.kind == SYMBOL and token.text in _SUMS and self.following().kind == DIGITS)
            ):
                raise self.expected("a string or a number")
            found.append(self.operand())
            if not self.has(SYMBOL, ","):
                break
        if not self.has(SYMBOL, ")"):
            raise self.expected(", or )")
        return found

    def sum(self) -> Operand:
        """Products that are added, each of operands that are multiplied."""
        first: Operand | None = None
        sums: list[int] = []
        terms: list[Node] = []
        while True:
            operand = self.operand()
            if self.token.kind == SYMBOL and self.token.text in _PRODUCTS:
                products: list[int] = []
                factors: list[Node] = []
                start = operand.need_number()
                while self.token.kind == SYMBOL and self.token.text in _PRODUCTS:
                    products.append(_PRODUCTS[self.advance().text])
                    factors.append(self.operand().need_number())
                    self.cost += 1
                operand = Operand(self.source, operand.at, folded(Arithmetic(start, products, factors)))
            if first is None:
                first = operand
            else:
                terms.append(operand.need_number())
                self.cost += 1
            if not (self.token.kind == SYMBOL and self.token.text in _SUMS):
                break
            first.need_number()
            sums.append(_SUMS[self.advance().text])
        if not terms:
            return first
        return Operand(self.source, first.at, folded(Arithmetic(first.node, sums, terms)))

    def operand(self) -> Operand:
        """One value, with the signs in front of it."""
        at = self.token.at
        signed = False
        negative = False
        while self.token.kind == SYMBOL and self.token.text in _SUMS:
            signed = True
            negative = (self.advance().text == "-") != negative
        operand = self.parenthesis() if self.token.text == "(" else self.primary()
        if not signed:
            return operand
        node = operand.need_number()
        return Operand(self.source, at, folded(Negative(node) if negative else Arithmetic(node, [], [])))

    def parenthesis(self) -> Operand:
        """What stands in parentheses."""
        at = self.token.at
        if self.token.kind != SYMBOL:
            return self.primary()
        if self.depth == DEEPEST:
            raise fault(
                self.source,
                at,
                f"more than {DEEPEST} parentheses in each other",
                "Take out those that change nothing: a OR (b OR c) is a OR b OR c.",
            )
        self.depth += 1
        self.advance()
        operand = self.condition()
        if not self.has(SYMBOL, ")"):
            raise self.expected("AND, OR or )" if operand.node.kind == BOOLEAN else ")")
        self.depth -= 1
        return Operand(self.source, at, operand.node)

    def primary(self) -> Operand:
        """A literal or an identifier."""
        token = self.token
        node: Node
        if token.kind == STRING:
            node = Constant(TEXT, token.text)
        elif token.kind == DIGITS:
            node = Constant(NUMBER, token.value)
        elif token.kind == NAME:
            self.refuse_functions(token)
            self.cost += 2
            node = identifier(token.text)
            self.dated = self.dated or isinstance(node, Moment)
        elif token.kind == WORD and token.text in ("TRUE", "FALSE"):
            node = Constant(BOOLEAN, token.text == "TRUE")
        elif token.kind == WORD and token.text == "NULL":
            node = Constant(NULL, None)
        else:
            raise self.expected(_VALUE)
        self.advance()
        return Operand(self.source, token.at, node)

    def refuse_functions(self, token: Token) -> None:
        """Raise ProtocolError when the name here is one of a function."""
        following = self.following()
        if following.kind == STRING and token.text.upper() in ("XPATH", "XQUERY"):
            raise fault(
                self.source,
                token.at,
                "XPATH and XQUERY are ActiveMQ's and are not served here: selectors see headers, not bodies",
                "Let the sender put what is selected by into a header.",
            )
        if following.kind == SYMBOL and following.text == "(":
            raise fault(
                self.source,
                token.at,
                "there are no functions in selectors",
                "Put an operator between the name and the parenthesis, or take the name out.",
            )
