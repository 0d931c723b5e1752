"""The app on many processors: readers' requests go to replicas on Ray Serve, the rest stays here.

Only `sidelight serve --replicas` imports this, and Ray with it.
"""
