"""The page itself, a marimo app: cells that depend on a control run again when it moves."""

import marimo

app = marimo.App(width="medium", app_title="celluler_sim")


@app.cell
def imports():
    import marimo as mo

    from celluler_sim.conf import choices
    from celluler_sim.config_build import keys
    from celluler_sim.dashboard import browse, charts, page, settings
    from celluler_sim.dashboard.live import LiveRun, describe
    from celluler_sim.errors import CellulerError
    from celluler_sim.mechanisms.base import registered
    from celluler_sim.results import load_run
    from celluler_sim.scenario import compose

    root = page.results_folder()
    return (
        CellulerError, LiveRun, browse, charts, choices, compose, describe, keys, load_run, mo, page, registered, root,
        settings,
    )  # fmt: skip


@app.cell
def state(mo):
    get_run, set_run = mo.state(None)
    get_pin, set_pin = mo.state(None)
    get_note, set_note = mo.state("")
    return get_note, get_pin, get_run, set_note, set_pin, set_run


@app.cell
def heading(mo, page, root):
    mo.md(f"# celluler_sim\n{page.INTRODUCTION}\n\nResults folder: `{root}`")


@app.cell
def choose_scenario(mo, page):
    scenario = mo.ui.dropdown(page.scenarios(), value="compute_congestion", label="scenario")
    return (scenario,)


@app.cell
def choose_rules(choices, compose, mo, registered, scenario, settings):
    base = compose(scenario.value)
    choices.import_mechanisms()
    rules = mo.ui.dictionary(
        {
            family: mo.ui.dropdown([settings.AS_IT_IS, *registered(family)], value=settings.AS_IT_IS, label=family)
            for family in settings.GROUPS
        }
    )
    numbers = mo.ui.dictionary(
        {
            s.key: mo.ui.slider(
                s.low, s.high, s.step, value=s.start(base), label=s.label, show_value=True, debounce=True,
                include_input=True,
            )
            for s in settings.SLIDERS
        }
    )  # fmt: skip
    return base, numbers, rules


@app.cell
def buttons(
    CellulerError, LiveRun, base, compose, describe, get_run, keys, mo, numbers, root, rules, scenario, set_note,
    set_pin, set_run, settings,
):  # fmt: skip
    def begin(_):
        current = get_run()
        if current is not None:
            current.stop()
        try:
            with_rules = compose(scenario.value, settings.overrides(base, rules.value, {}))
            has_base = "base_price" in [f.name for f in keys(type(with_rules.pricing))]
            changed = settings.overrides(base, rules.value, numbers.value, base_price=has_base)
            run = LiveRun(compose(scenario.value, changed), root, f"{scenario.value}: {describe(changed)}")
        except CellulerError as error:
            set_note(str(error))
            return
        set_note("")
        set_run(run.start())

    def end(_):
        if get_run() is not None:
            get_run().stop()

    def pin(_):
        set_pin(get_run())

    run_button = mo.ui.button(label="Run", kind="success", on_click=begin)
    stop_button = mo.ui.button(label="Stop", kind="danger", on_click=end)
    pin_button = mo.ui.button(label="Pin this run", on_click=pin)
    unpin_button = mo.ui.button(label="Unpin", on_click=lambda _: set_pin(None))
    return pin_button, run_button, stop_button, unpin_button


@app.cell
def controls(mo, numbers, pin_button, rules, run_button, scenario, stop_button, unpin_button):
    mo.vstack(
        [
            mo.hstack([scenario, *rules.elements.values()], justify="start", wrap=True),
            mo.hstack([mo.vstack(list(numbers.elements.values())[:4]), mo.vstack(list(numbers.elements.values())[4:])]),
            mo.hstack([run_button, stop_button, pin_button, unpin_button], justify="start"),
        ]
    )


@app.cell
def clock(get_run, mo):
    # while a run goes on the page looks again by itself
    beat = mo.ui.refresh(default_interval=0.7) if get_run() is not None else mo.md("")
    return (beat,)


@app.cell
def watch(beat, charts, get_note, get_pin, get_run, mo, page):
    getattr(beat, "value", None)
    _run, _pin = get_run(), get_pin()
    _shown = {r.title: r.curves() for r in (_run, _pin) if r is not None}
    _parts = [mo.callout(get_note(), kind="danger")] if get_note() else []
    if _run is not None:
        _parts.append(mo.md(page.status(_run)))
    if _shown:
        _parts.append(mo.ui.plotly(charts.curves(_shown), charts.CONFIG))
    mo.vstack(_parts) if _parts else mo.md("*Nothing runs yet: choose, then press Run.*")


@app.cell
def quiet(beat, get_run, mo):
    mo.hstack([beat], justify="end") if get_run() is not None and get_run().running else mo.md("")


@app.cell
def finished(browse, get_run, mo, root):
    get_run()
    again = mo.ui.button(label="Look again")
    return (again,)


@app.cell
def pick(again, browse, mo, root):
    again.value
    run_choice = mo.ui.dropdown(browse.found(root, "run"), label="finished run", searchable=True)
    other_choice = mo.ui.dropdown(browse.found(root, "run"), label="beside", searchable=True)
    sweep_choice = mo.ui.dropdown(browse.found(root, "sweep"), label="sweep", searchable=True)
    mo.vstack(
        [mo.md("## Finished runs and sweeps"), mo.hstack([run_choice, other_choice, sweep_choice, again], wrap=True)]
    )
    return other_choice, run_choice, sweep_choice


@app.cell
def show_runs(CellulerError, browse, charts, load_run, mo, other_choice, page, root, run_choice):
    def _opened():
        names = [name for name in (run_choice.value, other_choice.value) if name]
        if not names:
            return mo.md("")
        try:
            runs = {name: load_run(browse.inside(root, name)) for name in names}
            return mo.vstack(
                [
                    mo.ui.plotly(
                        charts.curves({name: charts.curves_of(run) for name, run in runs.items()}), charts.CONFIG
                    ),
                    mo.ui.table(page.figures(runs), selection=None, page_size=15),
                ]
            )
        except CellulerError as error:
            return mo.callout(str(error), kind="danger")

    _opened()


@app.cell
def show_sweep(CellulerError, browse, mo, page, root, sweep_choice):
    def _opened():
        if not sweep_choice.value:
            return mo.md("")
        try:
            return mo.ui.table(page.sweep(browse.inside(root, sweep_choice.value)), selection=None, page_size=15)
        except CellulerError as error:
            return mo.callout(str(error), kind="danger")

    _opened()


if __name__ == "__main__":
    app.run()
