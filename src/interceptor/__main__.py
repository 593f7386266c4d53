"""`python -m interceptor`: the command, where its script is not on the path."""

from interceptor.cli import main

main()
