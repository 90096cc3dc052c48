package org.tfyolo.demo.ui

import android.content.Context
import android.transition.AutoTransition
import android.transition.TransitionManager
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.View
import android.view.ViewGroup
import android.widget.LinearLayout
import kotlin.math.abs
import org.tfyolo.demo.R

/** A bottom sheet: the header is always visible, the body is expanded with the button in the header or a swipe. */
class BottomSheet @JvmOverloads constructor(context: Context, attributes: AttributeSet? = null) : LinearLayout(context, attributes) {
    private val header: View get() = findViewById(R.id.sheet_header)
    private val body: View get() = findViewById(R.id.sheet_body)
    private val toggle: View get() = findViewById(R.id.toggle)

    var expanded: Boolean = false
        private set

    private val gestures = GestureDetector(context, object : GestureDetector.SimpleOnGestureListener() {
        override fun onDown(event: MotionEvent): Boolean = true

        override fun onFling(from: MotionEvent?, to: MotionEvent, x: Float, y: Float): Boolean {
            if (abs(y) <= abs(x)) return false
            setExpanded(y < 0, true)
            return true
        }
    })

    override fun onFinishInflate() {
        super.onFinishInflate()
        orientation = VERTICAL
        toggle.setOnClickListener { setExpanded(!expanded, true) }
        setExpanded(false, false)
    }

    // A swipe may start on a button; the button's click is then canceled.
    override fun dispatchTouchEvent(event: MotionEvent): Boolean {
        val onHeader = event.y < header.bottom
        if (onHeader && gestures.onTouchEvent(event) && event.actionMasked == MotionEvent.ACTION_UP) {
            event.action = MotionEvent.ACTION_CANCEL
        }
        return super.dispatchTouchEvent(event)
    }

    fun setExpanded(expanded: Boolean, animated: Boolean) {
        this.expanded = expanded
        if (animated && isLaidOut) TransitionManager.beginDelayedTransition(parent as ViewGroup, AutoTransition().setDuration(DURATION_MS))
        body.visibility = if (expanded) VISIBLE else GONE
        toggle.contentDescription = context.getString(if (expanded) R.string.hide_settings else R.string.show_settings)
        toggle.isActivated = expanded
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        // The sheet takes at most two thirds of the height, so that the image stays visible.
        val maxHeight = MeasureSpec.getSize(heightMeasureSpec) * 2 / 3
        super.onMeasure(widthMeasureSpec, MeasureSpec.makeMeasureSpec(maxHeight, MeasureSpec.AT_MOST))
    }

    private companion object {
        const val DURATION_MS = 200L
    }
}
