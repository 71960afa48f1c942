"""``python -m colabel``, which is also what torchrun starts."""

from colabel.cli import main

if __name__ == "__main__":
    main()
