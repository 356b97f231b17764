"""What to tell a person of an error of the operating system."""


def reason(error: Exception) -> str:
    """Return its message, without numbers: `/x/y: No such file or directory`."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return str(error)
