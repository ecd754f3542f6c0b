"""What every suite shares."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.pytest_root"]

# How long a value takes to draw says how busy the machine is, nothing of netrt.
settings.register_profile("netrt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("netrt")
