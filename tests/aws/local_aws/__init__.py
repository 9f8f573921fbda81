"""AWS on loopback for Keywheel's tests.

MiniStack runs the functions, queues, buckets and stacks. This package wraps it at one pinned version
and replaces what must be as AWS documents it: Secrets Manager, rotation, web identity tokens, delivery
to functions. It adds faults, and a record of everything sent, under ``/_local/``.
"""

MINISTACK_VERSION = "1.5.33"
ACCOUNT = "111122223333"
REGION = "eu-central-1"
ACCESS_KEY = ACCOUNT  # MiniStack takes an access key of twelve digits for the root user of that account.
SECRET_KEY = "local-aws-root"
