package org.tfyolo.demo.camera

import android.content.Context
import android.hardware.display.DisplayManager

/** Calls `onRotation` when the display rotates. Activities get no callback for rotations by 180 degrees. */
class DisplayRotationListener(context: Context, private val onRotation: () -> Unit) : DisplayManager.DisplayListener {
    private val manager = context.getSystemService(Context.DISPLAY_SERVICE) as DisplayManager

    fun start() = manager.registerDisplayListener(this, null)

    fun stop() = manager.unregisterDisplayListener(this)

    override fun onDisplayChanged(id: Int) = onRotation()

    override fun onDisplayAdded(id: Int) = Unit

    override fun onDisplayRemoved(id: Int) = Unit
}
