"""What every suite shares."""

pytest_plugins = ["tests.pytest_root"]
