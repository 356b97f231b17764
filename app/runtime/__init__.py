"""What every part of the process runs on; imports nothing of the other rooms."""
