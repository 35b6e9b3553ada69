"""What the model sees. Pure: no file is read and no clock is asked in this room."""
