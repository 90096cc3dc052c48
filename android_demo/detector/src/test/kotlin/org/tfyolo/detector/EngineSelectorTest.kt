package org.tfyolo.detector

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** Selecting an engine, on a machine without Android's GPU library. */
class EngineSelectorTest {
    private val model = modelBytes("int8-builtin.tflite")

    private fun backend(options: Options, store: InMemoryStore = InMemoryStore(), cores: Int = 2): Backend =
        Detector(testFile(model, store), options, cores).use { it.backend }

    @Test
    fun `the fastest engine is selected by timing, and remembered`() {
        val store = InMemoryStore()
        val first = backend(Options(), store)
        assertEquals(listOf(Delegate.CPU to 1, Delegate.CPU to 2, Delegate.GPU to 2), first.trials.map { it.delegate to it.threads })
        val timed = first.trials.filter { it.delegate == Delegate.CPU }
        assertEquals(timed.minBy { it.medianMs!! }.threads, first.threads)
        assertEquals(Delegate.CPU, first.delegate)
        val again = backend(Options(), store)
        assertEquals(Backend(first.delegate, first.threads), again)
        assertTrue(backend(Options(), store, cores = 4).trials.isNotEmpty(), "engines are timed again on another device")
    }

    @Test
    fun `an unavailable engine gives a reason`() {
        val trial = backend(Options()).trials.single { it.delegate == Delegate.GPU }
        assertNull(trial.medianMs)
        assertEquals("the GPU library is not available on this device", trial.problem)
    }

    @Test
    fun `a requested GPU falls back to the CPU with a reason`() {
        val backend = backend(Options(threads = 2, delegate = Delegate.GPU))
        assertEquals(Delegate.CPU to 2, backend.delegate to backend.threads)
        assertEquals("the GPU library is not available on this device", backend.fallback)
    }

    @Test
    fun `a requested number of threads is not timed`() {
        assertEquals(Backend(Delegate.CPU, 3), backend(Options(threads = 3, delegate = Delegate.CPU)))
    }

    @Test
    fun `a single core has a single candidate`() {
        assertEquals(Backend(Delegate.CPU, 1), backend(Options(delegate = Delegate.CPU), cores = 1))
    }

    @Test
    fun `an engine that crashed the app is not tried again`() {
        val store = InMemoryStore()
        backend(Options(), store)
        assertTrue(store.values.keys.none { it.endsWith("attempt") }, "a completed attempt is removed from the store")
        val key = store.values.keys.single().substringBefore(" fastest")
        store.values.clear()
        store.values["$key attempt"] = "GPU"
        val trial = assertNotNull(backend(Options(), store).trials.lastOrNull())
        assertEquals("the app crashed when this engine was tried with this model", trial.problem)
    }

    /**
     * An engine selector whose GPU is a CPU, and a store that notes how many outputs of the last runner of the GPU are not
     * zero when the record of an attempt is removed.
     *
     * @param closes close that runner at the same time, so that later runs fail.
     */
    private class SimulatedGpu(options: Options, private val closes: Boolean = false, start: (Engine) -> Runner) {
        var computed = -1
            private set
        val values = HashMap<String, String>()
        private var last: Runner? = null
        private val selector = EngineSelector(
            options,
            cores = 1,
            object : KeyValueStore {
                override fun get(key: String): String? = values[key]

                override fun put(key: String, value: String?) {
                    if (key == "key attempt" && value == null) {
                        computed = last?.run { outputs.values.sumOf { one -> one.values.count { it != 0f } } } ?: 0
                        if (closes) last?.close()
                    }
                    InMemoryStore(values).put(key, value)
                }
            },
            "key",
        ) { engine -> start(engine).also { if (engine.delegate == Delegate.GPU) last = it } }

        /** Select an engine, and close it. */
        fun select(): Backend = selector.select().let { (runner, backend) -> backend.also { runner.close() } }
    }

    private fun cpu() = Runner(modelBytes("float32-none.tflite"), Engine(Delegate.CPU, 1))

    @Test
    fun `the first run of a GPU is part of its attempt, whether it is requested, timed or remembered`() {
        val requested = SimulatedGpu(Options(delegate = Delegate.GPU)) { cpu() }
        assertEquals(Delegate.GPU, requested.select().delegate)
        assertTrue(requested.computed > 0, "requested")
        val timed = SimulatedGpu(Options()) { cpu() }
        timed.select()
        assertTrue(timed.computed > 0, "timed")
        val remembered = SimulatedGpu(Options()) { cpu() }
        remembered.values[timed.values.keys.single()] = "GPU 1"
        assertEquals(Backend(Delegate.GPU, 1), remembered.select())
        assertTrue(remembered.computed > 0, "remembered")
    }

    @Test
    fun `timing a GPU is part of its attempt`() {
        val trial = SimulatedGpu(Options(), closes = true) { cpu() }.select().trials.single { it.delegate == Delegate.GPU }
        assertNotNull(trial.medianMs, trial.problem)
    }

    @Test
    fun `a remembered or requested GPU that crashed the app is not tried again`() {
        val timed = SimulatedGpu(Options()) { cpu() }
        timed.select()
        for (options in listOf(Options(), Options(delegate = Delegate.GPU))) {
            val tried = ArrayList<Delegate>()
            val gpu = SimulatedGpu(options) { engine -> cpu().also { tried += engine.delegate } }
            gpu.values[timed.values.keys.single()] = "GPU 1"
            gpu.values["key attempt"] = "GPU"
            assertEquals(Delegate.CPU, gpu.select().delegate)
            assertEquals(listOf(Delegate.CPU), tried)
        }
    }

    @Test
    fun `a GPU that fails in its first run is replaced by the CPU`() {
        fun failing(engine: Engine) = cpu().also { if (engine.delegate == Delegate.GPU) it.close() }
        val requested = SimulatedGpu(Options(delegate = Delegate.GPU), start = ::failing).select()
        assertEquals(Delegate.CPU, requested.delegate)
        assertNotNull(requested.fallback)
        val gpu = SimulatedGpu(Options(), start = ::failing)
        gpu.select()
        gpu.values.keys.single().let { gpu.values[it] = "GPU 1" }
        assertEquals(Delegate.CPU, gpu.select().delegate)
        assertEquals("CPU 1", gpu.values.values.single())
    }

    @Test
    fun `invalid stored values are ignored`() {
        val store = InMemoryStore()
        backend(Options(), store)
        val key = store.values.keys.single()
        for (text in listOf("", "NPU 1", "CPU", "CPU x", "CPU 64")) {
            store.values[key] = text
            assertTrue(backend(Options(), store).trials.isNotEmpty(), text)
        }
    }
}
