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
