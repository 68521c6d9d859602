"""A rolling `serve deploy` under load: new replicas of the ingress and of the model in place of the old ones."""

import asyncio
import copy

from tests.drills.kit.drill import Drill
from tests.drills.kit.scene import INGRESS, Scene

REPLACED_S = 150.0
MODEL = "ServeReplica:sluice:model-quick"


async def _rolling(scene: Scene) -> None:
    config = copy.deepcopy(scene.app.config)
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] in ("Ingress", "model-quick"):
            deployment["ray_actor_options"] = {"num_cpus": 0.11}  # another version: every replica is replaced
    before = {each.pid for title in (INGRESS, MODEL) for each in scene.app.processes(title)}
    await asyncio.to_thread(scene.app.deploy, config)

    def replaced() -> bool:
        pids = [{each.pid for each in scene.app.processes(title)} for title in (INGRESS, MODEL)]
        return all(len(each) == 2 and not each & before for each in pids)

    await scene.until(replaced, "every replica replaced", REPLACED_S)


DRILLS = [Drill("deploy", "`serve deploy` that replaces every ingress and model replica, one by one", _rolling)]
