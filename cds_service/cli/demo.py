def run_demo(*, as_json: bool) -> int:
    return 0
