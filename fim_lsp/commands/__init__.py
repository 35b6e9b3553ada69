"""What each command line verb does, one file a verb; loaded only when that verb is used."""
