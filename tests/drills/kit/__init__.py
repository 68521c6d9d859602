"""What drills share: the application, its Redis, the load, the watch over a limit, the judgement and the report."""
