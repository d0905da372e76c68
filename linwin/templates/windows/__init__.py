"""Windows templates: a user's own ISO becomes a disk that boots, entirely on Linux.

No Windows runs for it and nothing is mounted: the image is applied to a volume in a file,
and what Windows' own tools would have written into hives is written by hivex.
"""
