"""What is wrong with an expression and where, before its text is attached."""


class Fault(Exception):
    """Raised by the parts that do not know the text; `parse`, `resolve` and `evaluate` make an InvalidExpression of it."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message = message
        self.position = position
