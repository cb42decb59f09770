"""The live page: a stream's frames before and after, in a browser on this machine or on a phone."""
