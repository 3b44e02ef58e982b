"""The quick start of the README, as it is printed there: what ``catzilla demo`` serves."""

# mypy: ignore-errors
# (code as a newcomer writes it, with bare dict)

from catzilla import Catzilla
from catzilla.background_tasks import TaskPriority

app = Catzilla(use_jemalloc=True, memory_profiling=True)
app.enable_background_tasks(workers=16, enable_auto_scaling=True, memory_pool_mb=1000, enable_c_compilation=True)


@app.task(priority=TaskPriority.HIGH, compile_to_c=True)
def send_notification(user_id: int, message: str) -> dict:
    print(f"Sending to user {user_id}: {message}")
    return {"status": "sent", "user_id": user_id}


@app.task(priority=TaskPriority.NORMAL)
def process_data(data: dict) -> dict: ...


@app.post("/users/{user_id}/notify")
def notify_user(user_id: int, message: str):
    result = app.add_task(send_notification, user_id, message, priority=TaskPriority.HIGH)
    return {"task_id": result.task_id, "status": "queued"}
