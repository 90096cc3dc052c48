package org.tfyolo.detector

/** Persistent storage for short texts. */
internal interface KeyValueStore {
    fun get(key: String): String?

    /** Store a value, or remove it if null. The value is on disk when this returns. */
    fun put(key: String, value: String?)
}

/**
 * Selects the engine that runs a model fastest, and remembers it.
 *
 * @param store where earlier results are stored, under `key`.
 * @param key identifies the model, the device and its system version.
 * @param start creates a runner; throws [EngineException] if the engine is not available or cannot run the model.
 */
internal class EngineSelector(
    private val options: Options,
    private val cores: Int,
    private val store: KeyValueStore,
    private val key: String,
    private val start: (Engine) -> Runner,
) {
    /** Start the remembered or fastest engine. @throws ModelException if no engine can run the model. */
    fun select(): Pair<Runner, Backend> {
        val candidates = candidates()
        candidates.singleOrNull()?.let { return startRequested(it) }
        remembered()?.takeIf { it in candidates }?.let { engine ->
            try {
                return attempt(engine, ::launch) to Backend(engine.delegate, engine.threads)
            } catch (_: EngineException) {
                store.put(choiceKey, null)
            }
        }
        return startFastest(candidates)
    }

    private fun candidates(): List<Engine> {
        val counts = options.threads?.let { listOf(it) } ?: THREADS.filter { it == 1 || it <= cores }
        val cpu = counts.map { Engine(Delegate.CPU, it) }
        val gpu = Engine(Delegate.GPU, counts.last())
        return when (options.delegate) {
            Delegate.AUTO -> cpu + gpu
            Delegate.CPU -> cpu
            Delegate.GPU -> listOf(gpu)
        }
    }

    private fun startRequested(engine: Engine): Pair<Runner, Backend> {
        val reason = try {
            return attempt(engine, ::launch) to Backend(engine.delegate, engine.threads)
        } catch (error: EngineException) {
            error.message.orEmpty()
        }
        if (engine.delegate != Delegate.GPU) throw ModelException(ModelException.Problem.DOES_NOT_FIT, "The model cannot run: $reason")
        val (runner, backend) = EngineSelector(options.copy(delegate = Delegate.CPU), cores, store, key, start).select()
        return runner to backend.copy(fallback = reason)
    }

    private fun startFastest(candidates: List<Engine>): Pair<Runner, Backend> {
        var best: Runner? = null
        var bestMs = Float.MAX_VALUE
        val trials = candidates.map { engine ->
            try {
                val (runner, median) = attempt(engine) {
                    val runner = start(it).also(::warmUp)
                    runner to time(runner)
                }
                if (median < bestMs) {
                    best?.close()
                    best = runner
                    bestMs = median
                } else {
                    runner.close()
                }
                Trial(engine.delegate, engine.threads, median, null)
            } catch (error: EngineException) {
                Trial(engine.delegate, engine.threads, null, error.message)
            }
        }
        val runner = best ?: throw ModelException(
            ModelException.Problem.DOES_NOT_FIT,
            "The model cannot run: ${trials.first().problem}",
        )
        store.put(choiceKey, "${runner.engine.delegate} ${runner.engine.threads}")
        return runner to Backend(runner.engine.delegate, runner.engine.threads, trials)
    }

    /** Start an engine that is not timed. A GPU is also run: its driver may fail as late as in the first run. */
    private fun launch(engine: Engine): Runner = start(engine).also { if (engine.delegate == Delegate.GPU) warmUp(it) }

    /**
     * Start and run an engine. GPU drivers can crash the whole app: each attempt is recorded before it starts, and not repeated
     * if the record is still there.
     */
    private fun <T> attempt(engine: Engine, action: (Engine) -> T): T {
        if (engine.delegate != Delegate.GPU) return action(engine)
        if (store.get(attemptKey) != null) {
            throw EngineException("the app crashed when this engine was tried with this model", IllegalStateException(attemptKey))
        }
        store.put(attemptKey, "$engine")
        return try {
            action(engine)
        } finally {
            store.put(attemptKey, null)
        }
    }

    private fun warmUp(runner: Runner) = repeat(WARM_UP) { runGuarded(runner) }

    /** Median time of [RUNS] inferences in milliseconds; fewer if they take longer than [MAX_TOTAL_NS]. */
    private fun time(runner: Runner): Float {
        val times = ArrayList<Float>()
        val end = System.nanoTime() + MAX_TOTAL_NS
        while (times.size < RUNS && (times.isEmpty() || System.nanoTime() < end)) {
            val begin = System.nanoTime()
            runGuarded(runner)
            times += (System.nanoTime() - begin) / 1e6f
        }
        return times.sorted()[times.size / 2]
    }

    private fun runGuarded(runner: Runner) {
        try {
            runner.run()
        } catch (error: RuntimeException) {
            runner.close()
            throw EngineException(reasonOf(error), error)
        }
        // Float16 overflows with some GPU drivers.
        if (!runner.outputs.values.all(Output::isFinite)) {
            runner.close()
            throw EngineException("its results are not finite numbers", ArithmeticException())
        }
    }

    private fun remembered(): Engine? {
        val (delegate, threads) = store.get(choiceKey)?.split(' ')?.takeIf { it.size == 2 } ?: return null
        val known = Delegate.entries.firstOrNull { it.name == delegate } ?: return null
        return Engine(known, threads.toIntOrNull() ?: return null)
    }

    private val choiceKey = "$key fastest of ${candidates().joinToString { "${it.delegate} ${it.threads}" }}"
    private val attemptKey = "$key attempt"

    private companion object {
        val THREADS = listOf(1, 2, 4)
        const val WARM_UP = 2
        const val RUNS = 7
        const val MAX_TOTAL_NS = 1_500_000_000L
    }
}
