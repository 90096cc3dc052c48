package org.tfyolo.demo

import android.Manifest
import android.app.Application
import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import java.io.File
import kotlin.test.fail
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.tfyolo.demo.ui.OverlayView
import org.tfyolo.detector.Delegate
import org.tfyolo.detector.Detections

internal val app: Application get() = RuntimeEnvironment.getApplication()

/** Files of tests/demo_models.py. */
internal fun demoModel(name: String): File = File(System.getProperty("demo.models") ?: error("`demo.models` names a folder"), name)

/** One engine by name: nothing is timed, and the same runs on every machine. */
internal fun plainEngine() = Settings(app).run {
    threads = 1
    delegate = Delegate.CPU
}

internal fun grantCamera() = shadowOf(app).grantPermissions(Manifest.permission.CAMERA)

internal fun start(): ActivityController<MainActivity> = Robolectric.buildActivity(MainActivity::class.java).setup()

/** Work of other threads arrives on the main thread, which a test is. */
internal fun await(what: String, done: () -> Boolean) {
    val end = System.nanoTime() + 30_000_000_000
    while (!done()) {
        if (System.nanoTime() > end) fail("waited for $what")
        shadowOf(Looper.getMainLooper()).idle()
        Thread.sleep(5)
    }
}

internal val MainActivity.overlay: OverlayView get() = findViewById(R.id.overlay)

internal fun MainActivity.awaitFound(besides: Detections? = null): Detections {
    await("detections") { overlay.found != null && overlay.found !== besides }
    return overlay.found!!
}

internal fun View.all(): Sequence<View> = sequence {
    yield(this@all)
    if (this@all is ViewGroup) for (i in 0 until childCount) yieldAll(getChildAt(i).all())
}

/** What a screen of `width` x `height` pixels shows; also written where the build collects screenshots. */
internal fun MainActivity.screenshot(name: String, width: Int, height: Int): Bitmap {
    val root = window.decorView
    root.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY), View.MeasureSpec.makeMeasureSpec(height, View.MeasureSpec.EXACTLY))
    root.layout(0, 0, width, height)
    val image = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
    root.draw(Canvas(image))
    val folder = File(System.getProperty("shots.dir") ?: error("`shots.dir` names a folder")).apply { mkdirs() }
    File(folder, "$name.png").outputStream().use { image.compress(Bitmap.CompressFormat.PNG, 100, it) }
    return image
}
