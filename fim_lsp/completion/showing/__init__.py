"""Decide which suggestions are shown while typing.

``eagerness`` turns the settings into rules, and ``places`` tells the kinds of places that they distinguish.
``display`` holds the state of the open documents, ``refusals`` what the user did not want in them. ``cuts``
shortens a text to what parses, and to one piece of a long one. ``choice`` decides what is shown of a
suggestion. One that was invoked by a key is always shown.
"""
