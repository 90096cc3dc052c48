package org.tfyolo.detector

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** A machine without a graphics library of Android's, which is one of the cases. */
class EngineChoiceTest {
    private val model = modelBytes("int8-builtin.tflite")

    private fun backend(options: Options, memory: TestMemory = TestMemory(), cores: Int = 2): Backend =
        Detector(model, options, memory, "test", cores).use { it.backend }

    @Test
    fun `the quickest is found by timing, and remembered`() {
        val memory = TestMemory()
        val first = backend(Options(), memory)
        assertEquals(listOf(Delegate.CPU to 1, Delegate.CPU to 2, Delegate.GPU to 2), first.trials.map { it.delegate to it.threads })
        val timed = first.trials.filter { it.delegate == Delegate.CPU }
        assertEquals(timed.minBy { it.medianMs!! }.threads, first.threads)
        assertEquals(Delegate.CPU, first.delegate)
        val again = backend(Options(), memory)
        assertEquals(Backend(first.delegate, first.threads), again)
        assertTrue(backend(Options(), memory, cores = 4).trials.isNotEmpty(), "another machine is timed anew")
    }

    @Test
    fun `an engine that is not there says why`() {
        val trial = backend(Options()).trials.single { it.delegate == Delegate.GPU }
        assertNull(trial.medianMs)
        assertEquals("this device has no library for it", trial.problem)
    }

    @Test
    fun `the graphics processor by name falls back, and that is reported`() {
        val backend = backend(Options(threads = 2, delegate = Delegate.GPU))
        assertEquals(Delegate.CPU to 2, backend.delegate to backend.threads)
        assertEquals("this device has no library for it", backend.fallback)
    }

    @Test
    fun `threads by name are not timed`() {
        assertEquals(Backend(Delegate.CPU, 3), backend(Options(threads = 3, delegate = Delegate.CPU)))
    }

    @Test
    fun `one core, one candidate`() {
        assertEquals(Backend(Delegate.CPU, 1), backend(Options(delegate = Delegate.CPU), cores = 1))
    }

    @Test
    fun `what took the app down is not tried again`() {
        val memory = TestMemory()
        backend(Options(), memory)
        assertTrue(memory.texts.keys.none { it.endsWith("attempt") }, "an attempt that ended leaves no trace")
        val key = memory.texts.keys.single().substringBefore(" quickest")
        memory.texts.clear()
        memory.texts["$key attempt"] = "GPU"
        val trial = assertNotNull(backend(Options(), memory).trials.lastOrNull())
        assertEquals("the app stopped when it was tried with this model", trial.problem)
    }

    @Test
    fun `nonsense in memory is timed anew`() {
        val memory = TestMemory()
        backend(Options(), memory)
        val key = memory.texts.keys.single()
        for (text in listOf("", "NPU 1", "CPU", "CPU x", "CPU 64")) {
            memory.texts[key] = text
            assertTrue(backend(Options(), memory).trials.isNotEmpty(), text)
        }
    }
}
