from test_store_judged import *
import time, cProfile, pstats
def test_x(sessions):
    N=1000
    names=[f"test_module_{i//100}.py::test_{i}" for i in range(N)]
    farm = SimulatedFarm(sessions, lambda at, *_: dict.fromkeys(names, F if at>100 else P))
    for position in range(1,101):
        farm.subject(position)
    t=time.time(); farm.settle(); print("settle of nothing", time.time()-t)
    farm.subject(101)
    slow=[]
    pr=cProfile.Profile(); pr.enable()
    for _ in range(60):
        t=time.time(); busy=farm.judge(); d=time.time()-t
        slow.append(round(d,2))
        w=farm.runs(state="wanted")
        for r in w: farm.carry_out(r.key, r.on_worker or "one")
        if not busy and not w: break
    pr.disable(); pstats.Stats(pr).sort_stats("cumtime").print_stats(60)
    print(slow, len(farm.trials()), set(farm.causes().values()))
    assert 0
