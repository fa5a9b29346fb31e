"""One watcher for all jobs of an AWS connection and region that this process waits for.

Read :mod:`.watcher` first: it says who owns what. A poll costs what changed in the account, not what is waited for.
"""
